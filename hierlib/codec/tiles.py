"""g_a and g_s over pictures of any size in bounded memory: overlapping tiles, of which the middle is kept.

The entropy path needs none of this: it walks the whole map (in strips, entropy.py), so the stream knows no tiles, and
a decoder with more memory may show the same stream in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from .network import HierNetwork
from .transforms import STRIDE_Z

CORE, HALO = 512, 128  # pixels, multiples of STRIDE_Z: attention windows then lie as in the whole picture


def analyse(network: HierNetwork, x: Tensor) -> Tensor:
    """g_a of x (B, 3, H, W), sides multiples of 64 -> y (B, M, H/16, W/16)."""
    return _in_tiles(network.analyse, x, 1, network.stride)


def synthesise(network: HierNetwork, y_hat: Tensor) -> Tensor:
    """g_s of y_hat (B, M, h, w) -> x_hat (B, 3, 16h, 16w), not clamped."""
    return _in_tiles(network.synthesise, y_hat, network.stride, 1)


def _in_tiles(transform: Callable[[Tensor], Tensor], source: Tensor, stride_in: int, stride_out: int) -> Tensor:
    """``transform`` of ``source``, a map at ``stride_in`` pixels, to a map at ``stride_out``, tile by tile."""
    height, width = (side * stride_in for side in source.shape[2:])
    if max(height, width) <= CORE + 2 * HALO:
        return transform(source)
    out: Tensor | None = None
    for top, bottom, kept_top, kept_bottom in _spans(height):
        for left, right, kept_left, kept_right in _spans(width):
            i = stride_in
            tile = transform(source[:, :, top // i : bottom // i, left // i : right // i])
            if out is None:
                out = tile.new_empty(*tile.shape[:2], height // stride_out, width // stride_out)
            o = stride_out
            rows, columns = slice(kept_top // o, kept_bottom // o), slice(kept_left // o, kept_right // o)
            within_rows = slice((kept_top - top) // o, (kept_bottom - top) // o)
            within_columns = slice((kept_left - left) // o, (kept_right - left) // o)
            out[:, :, rows, columns] = tile[:, :, within_rows, within_columns]
    assert out is not None
    return out


def _spans(length: int) -> Iterator[tuple[int, int, int, int]]:
    """Begin and end of each tile along a side, and of what is kept of it, in pixels."""
    assert CORE % STRIDE_Z == HALO % STRIDE_Z == 0
    for begin in range(0, length, CORE):
        end = min(begin + CORE, length)
        yield max(0, begin - HALO), min(length, end + HALO), begin, end
