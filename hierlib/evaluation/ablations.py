"""The paper's ablations as a table, from the ``curve.json`` of every arm and seed that was trained.

``python -m hierlib.evaluation.ablations --write`` writes ``data/results/ablations.csv`` and the README's table from the
curves in ``data/results/ablations``. No number is typed in.
"""

from __future__ import annotations

import json
import sys
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..files import shipped
from .curves import bd_rate
from .publish import Published, of_rows

if TYPE_CHECKING:
    from pandas import DataFrame

BASE, SPREAD = "base", "base, seed to seed"
PSNR = "psnr_db"
TOLD = {
    BASE: "blocks of 64, 48, 48 channels, Delta-networks, order of sigma",
    SPREAD: "the largest difference between two seeds of the base: what chance does",
    "no-delta": "no Delta-networks",
    "no-context": "no context from earlier blocks (C is zero)",
    "one-block": "one block of 160 channels, one lambda, no levels",
    "split-96-128-96": "blocks of 48, 64, 48 channels",
    "split-96-96-128": "blocks of 48, 48, 64 channels",
    "split-107-107-106": "blocks of 54, 53, 53 channels",
    "channel-order": "symbols of a block channel by channel",
    "raster-order": "symbols of a block place by place",
    "count-block": "Eq. 2 counts z and each block once",
    "rounded-rate": "rate of rounded values in training",
}


def read_curves(folder: str | Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The content of every ``*/curve.json`` under ``folder``, by arm and seed; nothing if there is none."""
    found = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*/curve.json"))]
    return {(content["arm"], content["seed"]): content for content in found}


def frame(content: dict[str, Any]) -> DataFrame:
    """The rows of a curve, along its bytes."""
    import pandas as pd

    return pd.DataFrame(content["rows"]).sort_values("bytes")


def load_runs(folder: str | Path) -> dict[tuple[str, int], DataFrame]:
    """The curve of every arm and seed under ``folder``. DataError if the base is not among them."""
    runs = {run: frame(content) for run, content in read_curves(folder).items()}
    if not any(arm == BASE for arm, _ in runs):
        raise DataError(
            f"{folder} holds no curve of the arm {BASE}: run `python -m hierlib train ablation-base --run "
            f"{folder}/base-0`, and the arms to be compared beside it."
        )
    return runs


def difference(anchor: DataFrame, test: DataFrame, measure: str) -> float:
    """BD-rate in percent; 0 of a run against itself."""
    pairs = [(each["bytes"].to_numpy(), each[measure].to_numpy()) for each in (anchor, test)]
    return bd_rate(*pairs[0], *pairs[1]).percent


def differences(runs: dict[tuple[str, int], DataFrame]) -> DataFrame:
    """A row for each arm and seed of ``load_runs``: its BD-rates against the base, percent of bytes at equal quality.

    Columns: arm, seed, psnr_db and each right_<level>. A run is compared with the base of its seed, or with the first
    one if the base was not trained with it. Below zero: the arm needs fewer bytes.
    """
    import pandas as pd

    anchors = {seed: rows for (arm, seed), rows in runs.items() if arm == BASE}
    first = anchors[min(anchors)]
    measures = _measures(first)
    rows = [
        {"arm": arm, "seed": seed, **{m: difference(anchors.get(seed, first), run, m) for m in measures}}
        for (arm, seed), run in sorted(runs.items(), key=lambda item: item[0])
    ]
    return pd.DataFrame(rows).sort_values("arm", key=lambda arms: arms != BASE, kind="stable", ignore_index=True)


def spread(runs: dict[tuple[str, int], DataFrame]) -> dict[str, float]:
    """What two seeds of the base differ by at most, either way round, by measure; empty if it has but one."""
    bases = [run for (arm, _), run in runs.items() if arm == BASE]
    pairs = list(permutations(bases, 2))
    return {measure: max(abs(difference(*pair, measure)) for pair in pairs) for measure in _measures(bases[0]) if pairs}


def ablation_table(folder: str | Path) -> DataFrame:
    """A row for each arm: seeds, then the mean over seeds of its ``differences`` and, as ``<name>_interval``, half of
    the 95 % interval of that mean (Student's t; NaN with one seed). After the base a row of its ``spread``.
    """
    import pandas as pd
    from scipy.stats import t

    runs = load_runs(folder)
    table: list[dict[str, Any]] = []
    for arm, rows in differences(runs).groupby("arm", sort=False):
        values, n = rows.drop(columns=["arm", "seed"]), len(rows)
        half = t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5 if n > 1 else values.iloc[0] * float("nan")
        row = {"arm": arm, "seeds": n}
        for measure in values:
            row |= {measure: values[measure].mean(), f"{measure}_interval": half[measure]}
        table.append(row)
        if arm == BASE and n > 1:
            table.append({"arm": SPREAD, "seeds": n, **spread(runs)})
    return pd.DataFrame(table).set_index("arm")


def _measures(curves: DataFrame) -> list[str]:
    return [PSNR, *(column for column in curves if column.startswith("right_"))]


def from_shipped() -> DataFrame:
    """The table of the curves that travel with the project."""
    return ablation_table(shipped("results") / "ablations").reset_index()


def markdown(table: DataFrame) -> str:
    """The README's table: percent of bytes at equal quality, mean and half of its interval over seeds."""
    measures = _measures(table[[column for column in table if not column.endswith("_interval")]])
    heads = " | ".join("PSNR" if m == PSNR else m.removeprefix("right_") for m in measures)
    lines = [f"| arm | what it is | seeds | {heads} |", "|---" * (3 + len(measures)) + "|"]
    for row in table.to_dict("records"):
        cells = [_cell(row, measure) for measure in measures]
        lines.append(f"| {row['arm']} | {TOLD.get(row['arm'], '')} | {row['seeds']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: dict[str, Any], measure: str) -> str:
    value, half = row[measure], row[f"{measure}_interval"]
    if row["arm"] == BASE:
        return ""
    if row["arm"] == SPREAD:
        return f"{value:.1f}"
    return f"{value:+.1f}" if np.isnan(half) else f"{value:+.1f} +- {half:.1f}"


PUBLISHED = Published("ablations", "results/ablations.csv", of_rows(from_shipped, markdown))

if __name__ == "__main__":
    sys.exit(PUBLISHED.command("The paper's ablations."))
