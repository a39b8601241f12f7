"""Every codec in one table: what it is like (``traits``) and its mean accuracy over log-bytes at each level.

``python -m hierlib.evaluation.overview --write`` writes ``data/results/overview.csv`` (every set and classifier) and
the README's table (64x64, the classifier that training never saw). No number is typed in.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..files import shipped
from . import traits
from .curves import bootstrap, by_picture, means_over_log_bytes
from .publish import Published, interval, of_rows
from .results import Results

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("tiny-imagenet-val", "mobilenet_v2_1.0", 256)  # pictures, classifier, side of the pictures for the times


def mean_accuracies(results: Results, classifiers: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per classifier (all if None) and level: the mean over log-bytes of the accuracy, between the lowest and
    the highest budget, over all pictures (where there is no file, the majority guess answers), and its 95 % interval.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for classifier in classifiers or results.classifiers:
        for level in results.levels:
            found = bootstrap(means_over_log_bytes(by_picture(results, f"right_{level}", classifier)).to_numpy())
            rows.append(
                {
                    "pictures": results.meta["pictures"]["name"],
                    "codec": results.meta["codec"]["name"],
                    "classifier": classifier,
                    "level": level,
                    "K": results.meta["hierarchy"]["K"][results.levels.index(level)],
                    "low_bytes": min(results.meta["budgets"]),
                    "high_bytes": max(results.meta["budgets"]),
                    "accuracy": found.mean,
                    "low": found.low,
                    "high": found.high,
                    "n": found.n,
                }
            )
    return pd.DataFrame(rows)


def from_shipped() -> pd.DataFrame:
    """Of all results that travel with the project."""
    import pandas as pd

    paths = sorted(shipped("results").glob("*.parquet"))
    if not paths:
        raise DataError("There are no results in data/results: make them with `make measure`.")
    return pd.concat([mean_accuracies(Results.load(path)) for path in paths], ignore_index=True)


def markdown(found: pd.DataFrame, about: pd.DataFrame) -> str:
    """The README's table. found: of ``from_shipped``; about: of ``traits``."""
    pictures, classifier, side = SHOWN
    rows = found[(found["pictures"] == pictures) & (found["classifier"] == classifier)]
    levels = rows.drop_duplicates("level")
    accuracy = rows.set_index(["codec", "level"])
    ours = about.iloc[0]
    heads = " | ".join(f"K = {k}" for k in levels["K"])
    lines = [
        f"| codec | a cut may be | same elsewhere | a file of nothing | parameters | encode, decode | {heads} |",
        "|---" * (6 + len(levels)) + "|",
    ]
    for _, codec in about.iterrows():
        if codec["codec"] not in set(rows["codec"]):
            continue
        spent = (f"{what}_{side}_s" for what in ("encode", "decode"))
        times = ", ".join(f"{codec[column] / ours[column]:.2f}" for column in spent)
        cells = [
            str(codec["codec"]),
            codec["cut"] if isinstance(codec["cut"], str) else "",
            {True: "yes", False: "no"}.get(codec["portable"], ""),
            f"{codec['empty_bytes']:,.0f} B",
            f"{codec['parameters'] / 1e6:.2f} M" if codec["parameters"] else "none",
            times,
            *(_cell(accuracy.loc[(codec["codec"], level)]) for level in levels["level"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Any) -> str:
    if not math.isfinite(row["accuracy"]):
        return ""
    return interval(row["accuracy"], row["low"], row["high"], sign="")


def _page(found: pd.DataFrame) -> str:
    return markdown(found, traits.from_shipped())


PUBLISHED = Published("overview", "results/overview.csv", of_rows(from_shipped, _page))

if __name__ == "__main__":
    sys.exit(PUBLISHED.command("Every codec in one table."))
