"""Figures of one picture: the filmstrip of its cuts, the same-bytes duel, and where its bytes went."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..images.pictures import to_uint8
from .crumbs import mark
from .ladder import Ladder, Rung
from .palette import FAINT, GREEN, INK, LEVELS, PAPER, VERMILION
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ON_HUES = "#fefefe"  # text on coloured bars: white, in the dark too
OVERHEAD = {"header": FAINT, "z": "#9aa3b2", "trailer": FAINT}  # what is no level's own; greys


@styled
def filmstrip(ladder: Ladder, n: int = 8) -> Figure:
    """``n`` cuts of one stream from left to right, with bytes, PSNR and the answer at each level."""
    rungs = ladder.pick(n)
    height, width = ladder.original.shape[1:]
    side = 12.5 / len(rungs)
    figure, axes = sheet(12.5, side * height / width + 0.3 + 0.19 * len(ladder.levels), 1, len(rungs))
    for axis, rung in zip(axes[0], rungs, strict=True):
        _frame(axis, rung, f"{rung.bytes:,} B", side)
    return figure


@styled
def duel(ladders: Sequence[Ladder], budgets: Sequence[int]) -> Figure:
    """A row for each codec, a column for each byte budget: pictures and verdicts at equal bytes.

    A cell shows the largest rung of its ladder that costs at most the budget.
    """
    height, width = ladders[0].original.shape[1:]
    side = 10.5 / len(budgets)
    tall = side * height / width + 0.3 + 0.2 * len(ladders[0].levels)
    figure, axes = sheet(10.5, tall * len(ladders), len(ladders), len(budgets))
    for row, ladder in zip(axes, ladders, strict=True):
        for axis, budget in zip(row, budgets, strict=True):
            rung = ladder.at(budget)
            _frame(axis, rung, f"{budget:,} B" + ("" if rung.bytes == budget else f" ({rung.bytes:,})"), side)
        row[0].set_ylabel(ladder.codec, fontsize=10.5)
    return figure


@styled
def byte_budget(parts: Mapping[str, int], title: str = "") -> Figure:
    """One stream as a bar: how many bytes each part (header, hyper-latent, blocks) takes."""
    total = sum(parts.values())
    figure, axes = sheet(9.5, 1.55 if len(parts) < 6 else 1.75)
    axis, left = axes[0, 0], 0
    levels = itertools.cycle(LEVELS)
    for name, size in parts.items():
        hue = OVERHEAD.get(name) or next(levels)
        axis.barh(
            0, size, left=left, height=0.6, color=hue, edgecolor=PAPER, label=f"{name}: {size:,} B ({size / total:.0%})"
        )
        if size > 0.07 * total:
            axis.text(left + size / 2, 0, f"{size:,}", ha="center", va="center", color=ON_HUES, fontweight="bold")
        left += size
    axis.set(yticks=[], xlim=(0, total), xlabel="byte of the file", title=title)
    axis.grid(False)
    axis.spines["left"].set_visible(False)
    figure.legend(loc="outside lower center", ncols=min(len(parts), 5 if len(parts) < 6 else 3))
    return figure


@styled
def gallery(pictures: Mapping[str, Any], columns: int = 6) -> Figure:
    """Pictures, (3, H, W) in [0, 1], by name."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure, axes = sheet(1.75 * columns, 2.0 * rows, rows, columns)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, image) in zip(axes.flat, pictures.items(), strict=False):
        axis.imshow(to_uint8(image), interpolation="none")
        axis.set_title(name, fontsize=9)
    return figure


def _frame(axis: Any, rung: Rung, title: str, side: float) -> None:
    """One decoded cut, ``side`` inches wide, and its verdicts: green and ticked, or vermilion and crossed."""
    room = max(6, int(side * 72 / 5.4) - 7)  # letters that a name may have
    axis.imshow(to_uint8(rung.decoded.image), interpolation="none")
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_title(f"{title} · {rung.psnr_db:.1f} dB", fontsize=8.5, color=INK)
    for row, crumb in enumerate(rung.crumbs):
        hue = {True: GREEN, False: VERMILION, None: INK}[crumb.right]
        name = crumb.name if len(crumb.name) <= room else crumb.name[: room - 1] + "…"
        axis.annotate(
            f"{name} {crumb.sure:.0%}{mark(crumb)}",
            (0, 0),
            (0, -11 - 12.5 * row),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8,
            color=hue,
            annotation_clip=False,
        )
