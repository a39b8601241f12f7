"""The paper's ablations drawn: every arm's quality over bytes beside the base's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..evaluation.ablations import BASE, PSNR, load_curves
from .palette import FAINT, INK
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def ablation_figure(folder: str | Path) -> Figure:
    """A panel for PSNR and one for each level's accuracy over bytes; the base in ink, every other arm in its colour."""
    import matplotlib

    curves = load_curves(folder)
    measures = [PSNR, *(column for column in curves if column.startswith("right_"))]
    figure, axes = sheet(3.4 * len(measures), 3.6, 1, len(measures))
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    others = sorted(set(curves["arm"]) - {BASE})
    for axis, measure in zip(axes[0], measures, strict=True):
        for arm in [*others, BASE]:
            rows = curves[curves["arm"] == arm].groupby("budget_bytes")[["bytes", measure]].mean()
            hue = INK if arm == BASE else colours[others.index(arm) % len(colours)]
            axis.plot(rows["bytes"], rows[measure], color=hue, linewidth=2.0 if arm == BASE else 1.2, label=arm)
        axis.set(title=measure.replace(PSNR, "PSNR, dB").replace("right_", "right, "), xscale="log")
        axis.set_xlabel("bytes (ideal code lengths)", color=FAINT)
    axes[0, 0].legend(fontsize=8)
    return figure
