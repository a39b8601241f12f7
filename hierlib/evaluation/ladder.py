"""Which numbers of bytes to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import BudgetError

JPEG_AI_BPP = (0.06, 0.12, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of JPEG AI's common test conditions


def geometric(lowest: int, highest: int, n: int) -> tuple[int, ...]:
    """``n`` byte budgets in equal steps of log-bytes, rounded; fewer where rounding makes two the same.

    >>> geometric(64, 1024, 5)
    (64, 128, 256, 512, 1024)
    """
    if not 1 <= lowest < highest or n < 2:
        raise BudgetError(f"A ladder of {n} budgets from {lowest} to {highest} bytes: ask for 2 or more, from 1 up.")
    return tuple(sorted({round(b) for b in np.geomspace(lowest, highest, n)}))


def jpeg_ai(height: int, width: int, rates_bpp: Sequence[float] = JPEG_AI_BPP) -> tuple[int, ...]:
    """The bytes of JPEG AI's rates at a size: the largest whole number of bytes that does not exceed each.

    >>> jpeg_ai(256, 256)[:3]
    (491, 983, 2048)
    """
    return tuple(sorted({max(1, int(rate * height * width / 8)) for rate in rates_bpp}))
