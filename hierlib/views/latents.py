"""Which latents have arrived: block by block, place by place, for any codec whose receiver tells."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .palette import level_colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 1  # places between two blocks' maps


def received_whole(codec: Any, stream: bytes) -> Any:
    """The codec's receiver, fed with the whole stream: what all cuts can be asked of; None if it has no receiver."""
    return codec.decoder().feed(stream) if hasattr(codec, "decoder") else None


def arrival_maps(received: Any, cuts: Sequence[int]) -> list[np.ndarray | None]:
    """(levels, h, w) for each cut: the share in [0, 1] of a block's channels that are there at each place.

    received: of ``received_whole``. None for a codec whose receiver does not count symbols, as the classical ones.
    """
    if not getattr(received, "blocks", None):
        return [None] * len(cuts)
    return [_maps(received, n) for n in cuts]


def _maps(received: Any, n_bytes: int) -> np.ndarray:
    maps = []
    for block, count in zip(received.blocks, received.counts_at(n_bytes), strict=True):
        there = np.zeros(block.index.size, dtype=bool)
        there[block.order[:count]] = True
        maps.append(there.reshape(block.index.shape).mean(0))
    return np.stack(maps)


def map_uri(arrived: np.ndarray) -> str:
    """(levels, h, w) in [0, 1] -> a ``data:`` address of a PNG, one map beside the other in the hues of the levels.

    A place of which nothing is there is transparent, so that the map fits light and dark pages.
    """
    from PIL import Image

    levels, height, width = arrived.shape
    plate = np.zeros((height, levels * (width + GAP) - GAP, 4), dtype=np.uint8)
    for level, share in enumerate(arrived):
        hue = [int(level_colour(level)[i : i + 2], 16) for i in (1, 3, 5)]
        part = plate[:, level * (width + GAP) :][:, :width]
        part[..., :3] = hue
        part[..., 3] = (255 * (0.08 + 0.92 * np.sqrt(share))).round()
    buffer = io.BytesIO()
    Image.fromarray(plate).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def map_words(arrived: np.ndarray) -> str:
    """The same for people who cannot see the map: "block 1 100 %, block 2 31 %, block 3 0 %"."""
    return ", ".join(f"block {level} {share.mean():.0%}" for level, share in enumerate(arrived, 1))


def latents_figure(arrived: np.ndarray, new: np.ndarray | None = None) -> Figure:
    """A panel for each block: where its latents are (share of channels); or, if given, where ``new`` ones came."""
    from .sheet import sheet, style

    with style():
        figure, axes = sheet(3.1 * len(arrived), 3.0, 1, len(arrived))
        for level, (axis, share) in enumerate(zip(axes[0], arrived, strict=True)):
            shown = share if new is None else new[level]
            picture = axis.imshow(shown, vmin=0, vmax=max(1e-9, float(shown.max())), cmap="cividis")
            count = f"{share.mean():.0%} there" if new is None else f"{new[level].sum():,.0f} new"
            axis.set(title=f"block {level + 1}: {count}", xticks=[], yticks=[])
            axis.grid(False)
            figure.colorbar(picture, ax=axis, shrink=0.7)
    return figure
