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

    rows = []
    for result in results:
        meta = result.meta
        name, counts = meta["codec"]["name"], meta.get("parameters", {})
        rows.append(
            {
                "codec": name,
                "encode_ms": 1000 * meta["seconds"]["encode"] / meta["pictures"]["n"],
                "decode_ms": 1000 * meta["seconds"]["decode"] / max(1, meta["decodings"]),
                "in_turns": False,
                "parameters_m": counts.get("all", float("nan")) / 1e6,
                "encoder_m": counts.get("encoder", float("nan")) / 1e6,
                "apart": apart(name),
            }
        )
    found = pd.DataFrame(rows).set_index("codec")
    if taken is not None:
        of_codec, columns = taken.set_index("codec"), [f"{what}_{_side(results[0])}_s" for what in ("encode", "decode")]
        if set(columns) <= set(of_codec) and set(found.index) <= set(of_codec.index):
            found[["encode_ms", "decode_ms"]] = 1000 * of_codec.loc[found.index, columns].to_numpy()
            found["in_turns"] = True
    return found


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
    how = ", in turns" if spent["in_turns"].all() else ""
    for axis, level in zip(axes[0], levels, strict=True):
        axis.set(title=f"{level}, {budget_bytes:,} bytes", xlabel=f"encoding, ms a picture{how}", xscale="log")
        axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0, 0].set_ylabel("right answers")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure
