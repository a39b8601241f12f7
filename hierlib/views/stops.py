"""What a stop rule promises and keeps: error asked for against error seen, bytes saved against answers lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .palette import BLUE, FAINT, VERMILION
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def trade_figure(trade: Any) -> Figure:
    """Two panels of a frame of ``evaluation.stopping.trade``; rules that never stop are left out.

    Left: of those that stopped, the share that was wrong, with its 95 % interval; below the dotted line the promise is
    kept. Right: right answers of all pictures along the share of bytes saved; dashed, those of the whole files.
    """
    figure, axes = sheet(8.6, 3.2, 1, 2)
    left, right = axes[0]
    kept = trade[trade["stopped"] > 0] if len(trade) else trade
    asked, seen = (kept[name].astype(float).to_numpy() for name in ("asked_for", "error"))
    reach = max([0.5, *asked])
    left.plot([0, reach], [0, reach], color=FAINT, linestyle=":", label="as asked for")
    if len(kept):
        low, high = (kept[f"error_{end}"].astype(float).to_numpy() for end in ("low", "high"))
        left.errorbar(asked, seen, yerr=[seen - low, high - seen], fmt="o", color=VERMILION, capsize=3, label="seen")
        whole = float(kept["right_whole"].iloc[0])
        right.set_ylim(0.9 * whole, 1.02 * whole)
        saved, answers = (kept[name].astype(float).to_numpy() for name in ("saved", "right"))
        right.plot(saved, answers, "o-", color=BLUE)
        right.axhline(whole, color=FAINT, linestyle="--", linewidth=1, label="whole files")
        for x, y, target in zip(saved, answers, asked, strict=True):
            right.annotate(f"{target:.0%}", (x, y), (5, 4), textcoords="offset points", fontsize=8.5)
    left.set(xlabel="errors asked for", ylabel="wrong, of those that stopped", xlim=(0, reach), ylim=(0, reach))
    right.set(xlabel="bytes saved", ylabel="right answers, all pictures", xlim=(0, None))
    for axis in axes[0]:
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="best")
    return figure
