"""The paper's ablations drawn: how many bytes more or fewer each arm needs than the base, seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..evaluation.ablations import BASE, PSNR, TOLD, differences, load_runs, spread
from .palette import FAINT, INK, RULE
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TICKS = (-10, -5, -2, 0, 2, 5, 10, 25, 50, 100)  # percent


@styled
def ablation_figure(folder: str | Path) -> Figure:
    """A panel for PSNR and one for each level's accuracy: percent of bytes against the base at equal quality, a dot for
    each seed; grey is what seeds of the base differ by. The scale is linear to 5 percent and logarithmic beyond.
    """
    runs = load_runs(folder)
    found, chance = differences(runs), spread(runs)
    arms = [arm for arm in TOLD if arm in set(found["arm"]) - {BASE}][::-1]
    measures = list(found.columns.drop(["arm", "seed"]))
    figure, axes = sheet(1.6 + 2.8 * len(measures), 1.3 + 0.28 * len(arms), 1, len(measures), sharey=True)
    for axis, measure in zip(axes[0], measures, strict=True):
        axis.axvline(0, color=FAINT, linewidth=1)
        if chance:
            axis.axvspan(-chance[measure], chance[measure], color=RULE, alpha=0.6, zorder=0)
        for place, arm in enumerate(arms):
            dots = found.loc[found["arm"] == arm, measure]
            axis.plot(dots, [place] * len(dots), "o", color=INK, alpha=0.75, markersize=5)
        axis.set_xscale("symlog", linthresh=5, linscale=0.6)
        axis.set_xticks(TICKS, [f"{tick:+d}" if tick else "0" for tick in TICKS])
        axis.minorticks_off()
        least, most = min(0.0, found[measure].min()), max(0.0, found[measure].max())
        axis.set_xlim(1.3 * min(least, -2.5), 1.3 * max(most, 2.5))
        title = "PSNR" if measure == PSNR else measure.replace("right_", "right, ")
        axis.set(title=title, yticks=range(len(arms)), yticklabels=arms)
        axis.set_xlabel("bytes at equal quality, %", color=FAINT)
    return figure
