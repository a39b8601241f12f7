"""The best file within a byte budget, looked for by quality: what every codec without a prefix needs to be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import BudgetError
from ..images.pictures import to_uint8

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def largest_within(make: Callable[[float], bytes], qualities: Sequence[float], max_bytes: int) -> bytes:
    """The largest file of at most ``max_bytes`` that bisection meets; b"" if none of those is so small.

    make: quality -> file; qualities: rising, and with them, by and large, the sizes. Where a size falls although the
    quality rises, a file that fits may be passed over, but none that does not fit is returned.
    Raises BudgetError for a budget below 1.

    >>> largest_within(lambda q: bytes(10 * q), range(1, 100), 57) == bytes(50)
    True
    """
    if max_bytes < 1:
        raise BudgetError(f"A file was to have {max_bytes} bytes: ask for at least 1.")
    low, high, best = 0, len(qualities), b""
    while low < high:
        middle = (low + high) // 2
        file = make(qualities[middle])
        if len(file) <= max_bytes:
            best, low = max(best, file, key=len), middle + 1
        else:
            high = middle
    return best


class Files:
    """The files of one picture by quality, each made once: the budgets of a ladder ask for the same ones.

    make: (H, W, 3) uint8 pixels, quality -> file. Only the last picture is remembered.
    """

    def __init__(self, make: Callable[[np.ndarray, float], bytes]) -> None:
        self._make = make
        self._of = b""
        self._files: dict[float, bytes] = {}

    def of(self, image: Tensor) -> Callable[[float], bytes]:
        """(3, H, W) in [0, 1] -> quality -> file."""
        pixels = to_uint8(image)
        content = repr(pixels.shape).encode() + pixels.tobytes()
        if content != self._of:
            self._of, self._files = content, {}
        files = self._files

        def file(quality: float) -> bytes:
            if quality not in files:
                files[quality] = self._make(pixels, quality)
            return files[quality]

        return file
