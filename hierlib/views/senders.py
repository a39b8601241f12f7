"""What a codec asks of its sender: time and size, beside what its bytes buy.

For all codecs, and the only figure for those that are made for weak senders (``baselines.apart``): figures of rates
leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..baselines import apart
from ..errors import DataError
from .palette import CODECS, MARKERS, PAPER
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from ..evaluation import Results


def costs(results: Sequence[Results], taken: DataFrame | None = None) -> Any:
    """A frame, a row for each codec: milliseconds to encode a picture and to decode a cut, as the evaluation took them
    (compare those of one run on one machine), millions of numbers in the networks, and in those that encoding runs
    (empty for a codec without, or measured before this was noted); apart: whether figures of rates leave it out.

    taken: times of all codecs in turns, of whole files (``evaluation.traits``). They are told instead where they are of
    every codec here and of pictures of this size; in_turns says so.
    """
    import pandas as pd

    side = _side(results[0]) if results else 0
    names = [result.meta["codec"]["name"] for result in results]
    in_turns = taken is not None and f"encode_{side}_s" in taken and set(names) <= set(taken["codec"])
    rows = []
    for name, result in zip(names, results, strict=True):
        meta = result.meta
        counts = meta.get("parameters", {})
        encode_s, decode_s = meta["seconds"]["encode"], meta["seconds"]["decode"]
        times_s = encode_s / meta["pictures"]["n"], decode_s / max(1, meta["decodings"])
        if in_turns and taken is not None:
            times_s = tuple(taken.set_index("codec").loc[name, [f"encode_{side}_s", f"decode_{side}_s"]])
        rows.append(
            {
                "codec": name,
                "encode_ms": 1000 * times_s[0],
                "decode_ms": 1000 * times_s[1],
                "in_turns": in_turns,
                "parameters_m": counts.get("all", float("nan")) / 1e6,
                "encoder_m": counts.get("encoder", float("nan")) / 1e6,
                "apart": apart(name),
            }
        )
    return pd.DataFrame(rows).set_index("codec")


def _side(result: Results) -> int:
    """Of a square as large as the pictures are on average."""
    whole = result.of(kind="whole")
    return round((8 * whole["bytes"] / whole["bpp"]).mean() ** 0.5)


@styled
def senders(
    results: Sequence[Results], budget_bytes: int, classifier: str | None = None, taken: DataFrame | None = None
) -> Figure:
    """Right answers with ``budget_bytes`` over the time to encode a picture, a panel for each level.

    Hollow: codecs that figures of rates leave out. The size of the encoding networks stands beside the name, where it
    is known; taken: see ``costs``. Raises DataError for no results, or a budget that was not measured.
    """
    if not results:
        raise DataError("There are no results to draw: evaluate a codec first.")
    levels, spent = results[0].levels, costs(results, taken)
    figure, axes = sheet(3.6 * len(levels), 3.5, 1, len(levels))
    for index, result in enumerate(results):
        table = result.table()
        chosen = table["classifier"] == (classifier or result.classifiers[0])
        at = table[chosen & (table["kind"] == "budget") & (table["budget_bytes"] == budget_bytes)]
        name = result.meta["codec"]["name"]
        if at.empty:
            raise DataError(f"{name} was not measured at {budget_bytes} bytes: choose one of its budgets.")
        cost, hue = spent.iloc[index], CODECS[index % len(CODECS)]
        size = f", {cost['encoder_m']:.2g} M" if cost["encoder_m"] == cost["encoder_m"] else ""
        for axis, level in zip(axes[0], levels, strict=True):
            axis.plot(
                cost["encode_ms"], at[f"right_{level}"].iloc[0], MARKERS[index % len(MARKERS)], color=hue,
                markerfacecolor=PAPER if cost["apart"] else hue, markersize=7, label=name + size, linestyle="none",
            )  # fmt: skip
    for axis, level in zip(axes[0], levels, strict=True):
        how = ", in turns" if spent["in_turns"].all() else ""
        axis.set(title=f"{level}, {budget_bytes:,} bytes", xlabel=f"encoding, ms a picture{how}", xscale="log")
        axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0, 0].set_ylabel("right answers")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure
