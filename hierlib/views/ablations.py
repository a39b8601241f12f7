"""The paper's ablations as a table and a figure, from the ``curve.json`` of every arm and seed that was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..evaluation.curves import bd_rate
from .palette import FAINT, INK
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

BASE = "base"


def load_curves(folder: str | Path) -> DataFrame:
    """Rows of all ``*/curve.json`` under ``folder``, with arm and seed. DataError if the base is not among them."""
    import pandas as pd

    rows = []
    for path in sorted(Path(folder).glob("*/curve.json")):
        found = json.loads(path.read_text())
        rows += [{"arm": found["arm"], "seed": found["seed"], "steps": found["steps"], **row} for row in found["rows"]]
    curves = pd.DataFrame(rows)
    if curves.empty or BASE not in set(curves["arm"]):
        raise DataError(
            f"{folder} holds no curve of the arm {BASE}: run `python -m hierlib train ablation-base --run "
            f"{folder}/base-0`, and the arms to be compared beside it."
        )
    return curves


def ablation_table(folder: str | Path) -> DataFrame:
    """A row for each arm: seeds, and its BD-rates against the base, percent of bytes at equal quality.

    Columns: seeds, then for psnr_db and each right_<level> the mean over seeds and, as ``<name>_interval``, half of the
    95 % interval of that mean (Student's t; NaN with one seed). An arm's seed is compared with the base of that seed,
    or with the first one if the base was not trained with it. Below zero: the arm needs fewer bytes.
    """
    import pandas as pd
    from scipy.stats import t

    curves = load_curves(folder)
    by_run: dict[Any, DataFrame] = {key: rows.sort_values("bytes") for key, rows in curves.groupby(["arm", "seed"])}
    anchors = {seed: rows for (arm, seed), rows in by_run.items() if arm == BASE}
    first = anchors[min(anchors)]
    measures = ["psnr_db", *(column for column in curves if column.startswith("right_"))]
    table = []
    for arm in [BASE, *sorted(set(curves["arm"]) - {BASE})]:
        runs = {seed: rows for (name, seed), rows in by_run.items() if name == arm}
        row: dict[str, Any] = {"arm": arm, "seeds": len(runs)}
        for measure in measures:
            values = np.array([_difference(anchors.get(s, first), r, measure) for s, r in runs.items()])
            n = len(values)
            half = t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5 if n > 1 else float("nan")
            row |= {measure: values.mean(), f"{measure}_interval": half}
        table.append(row)
    return pd.DataFrame(table).set_index("arm")


def _difference(anchor: DataFrame, test: DataFrame, measure: str) -> float:
    """BD-rate in percent; 0 of a run against itself."""
    pairs = [(each["bytes"].to_numpy(), each[measure].to_numpy()) for each in (anchor, test)]
    return bd_rate(*pairs[0], *pairs[1]).percent


@styled
def ablation_figure(folder: str | Path) -> Figure:
    """A panel for PSNR and one for each level's accuracy over bytes; the base in ink, every other arm in its colour."""
    import matplotlib

    curves = load_curves(folder)
    measures = ["psnr_db", *(column for column in curves if column.startswith("right_"))]
    figure, axes = sheet(3.4 * len(measures), 3.6, 1, len(measures))
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    others = sorted(set(curves["arm"]) - {BASE})
    for axis, measure in zip(axes[0], measures, strict=True):
        for arm in [*others, BASE]:
            rows = curves[curves["arm"] == arm].groupby("budget_bytes")[["bytes", measure]].mean()
            hue = INK if arm == BASE else colours[others.index(arm) % len(colours)]
            axis.plot(rows["bytes"], rows[measure], color=hue, linewidth=2.0 if arm == BASE else 1.2, label=arm)
        axis.set(title=measure.replace("psnr_db", "PSNR, dB").replace("right_", "right, "), xscale="log")
        axis.set_xlabel("bytes (ideal code lengths)", color=FAINT)
    axes[0, 0].legend(fontsize=8)
    return figure
