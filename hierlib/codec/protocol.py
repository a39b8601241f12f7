"""The spine: ``decode(any prefix)``. All that evaluation, widgets and figures may know of a codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Decoded:
    """What a prefix of a stream says.

    image:       (3, H, W) float32 in [0, 1]; mid-grey where nothing is known yet
    level:       how many levels (channel blocks, layers) are complete
    symbols:     coefficients received, of symbols_total (0 of 0 where a codec does not count them)
    bytes_used:  bytes of the prefix that the picture rests on, at most its length
    complete:    True if this is the whole stream
    """

    image: Tensor
    level: int
    symbols: int
    symbols_total: int
    bytes_used: int
    complete: bool

    def _repr_png_(self) -> bytes:
        from ..images.pictures import png_bytes

        return png_bytes(self.image)


@runtime_checkable
class ProgressiveCodec(Protocol):
    """Two methods make a codec a member of every comparison.

    It may say of itself, for tables: ``cut``, what a prefix of its file may be to show more than the one before, and
    ``portable``, whether bytes written on one machine say the same on every other.
    """

    name: str

    def encode(self, image: Tensor) -> bytes:
        """(3, H, W) float in [0, 1] -> the whole stream."""
        ...

    def decode(self, prefix: bytes) -> Decoded:
        """Any prefix -> a picture. Never raises on a short one; BitstreamError on a damaged one."""
        ...


def block_ends(codec: ProgressiveCodec, stream: bytes) -> tuple[int, ...]:
    """Bytes after which each level of ``stream`` is complete, found by asking the codec; () if it has no levels.

    A codec that knows its level ends (a method ``level_ends(stream)``) is asked for them; they are lengths of
    prefixes, strictly within ``len(stream)``.
    """
    ends = getattr(codec, "level_ends", None)
    return tuple(ends(stream)) if ends is not None else ()
