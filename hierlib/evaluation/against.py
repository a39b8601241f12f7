"""Ours against every other codec on the shipped results: differences with intervals, and bytes at equal accuracy.

``python -m hierlib.evaluation.against --write`` writes ``data/results/against.csv`` (every classifier, level and
budget) and the README's tables (the coarse level, the classifier that training never saw). Ours is compared with all,
and ours without the task loss with the learned peers that had none either. No number is typed in.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from ..baselines import KNOWN, PLAIN, apart, peer, with_task
from ..errors import DataError
from ..files import shipped
from .curves import bytes_at, paired_difference
from .measure import ours_for
from .publish import Published, interval, of_rows
from .results import Results, judges_of_all

if TYPE_CHECKING:
    import pandas as pd

SHOWN = {  # set of pictures -> its words in the README, the classifier that training never saw, budgets, equal to ours
    "tiny-imagenet-val": ("4,000 pictures at 64x64", "mobilenet_v2_1.0", (64, 128, 192, 256, 384, 512), 256),
    "imagenet-val227": ("500 pictures at 227x227", "mobilenet_v2_1.0", (512, 1024, 2048, 4096), 1024),
    "imagenette-woof-224-val": ("400 pictures at 224x224", "mobilenet_v2_1.0", (512, 1024, 2048, 4096), 1024),
}


def against(ours: Results, rival: Results) -> pd.DataFrame:
    """One row for each classifier, level and budget: accuracy of both, ours less the rival's with a 95 % interval
    (paired bootstrap over pictures), and the bytes with which the rival has ours' accuracy.

    n_decodable: pictures of which the rival has a file so small; in the others the majority guess answers for it.
    rival_bytes_for_ours: by the monotone fit of its curve over the points at which every picture has a file; NaN
    outside of them. rival_first_bytes, rival_first: the first of those points and its accuracy. Raises DataError for
    results of different pictures.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    mine, theirs = _budgets(ours), _budgets(rival)
    for classifier in judges_of_all([ours, rival]):
        for level in ours.levels:
            measure = f"right_{level}"
            sent = _decodable_curve(rival, measure, classifier)
            for row in paired_difference(rival, ours, measure, classifier).itertuples():
                budget = int(row.budget_bytes)
                at = classifier, budget
                accuracy = float(mine.loc[at, measure])
                rows.append(
                    {
                        "pictures": ours.meta["pictures"]["name"],
                        "codec": ours.meta["codec"]["name"],
                        "rival": rival.meta["codec"]["name"],
                        "classifier": classifier,
                        "level": level,
                        "budget_bytes": budget,
                        "ours": accuracy,
                        "theirs": float(theirs.loc[at, measure]),
                        "difference": row.difference,
                        "low": row.low,
                        "high": row.high,
                        "n": row.n,
                        "n_decodable": int(theirs.loc[at, "n_decodable"]),
                        "rival_bytes_for_ours": bytes_at(*sent, accuracy) if len(sent[0]) > 1 else math.nan,
                        "rival_first_bytes": sent[0][0],
                        "rival_first": sent[1][0],
                    }
                )
    return pd.DataFrame(rows)


def _budgets(results: Results) -> pd.DataFrame:
    """Means at the budgets, by (classifier, bytes)."""
    table = results.table()
    return table[table["kind"] == "budget"].set_index(["classifier", "budget_bytes"]).sort_index()


def _decodable_curve(results: Results, measure: str, classifier: str) -> tuple[Any, Any]:
    """(bytes, accuracy) at the budgets, and of the whole file, of which every picture has a file."""
    table = results.table()
    chosen = table[(table["classifier"] == classifier) & (table["n_decodable"] == table["n"])]
    chosen = chosen[chosen["kind"].isin(["budget", "whole"])].sort_values("bytes").drop_duplicates("bytes")
    return chosen["bytes"].to_numpy(float), chosen[measure].to_numpy(float)


def from_shipped() -> pd.DataFrame:
    """All of it, of what travels with the project. Raises DataError if there are no results of ours."""
    import pandas as pd

    folder = shipped("results")
    frames = []
    for pictures in SHOWN:
        found = {p.stem.removesuffix(f"-{pictures}"): p for p in sorted(folder.glob(f"*-{pictures}.parquet"))}
        ours = ours_for(pictures)
        plain = [name for name in found if peer(name) and not with_task(name)]
        for codec, rivals in ((ours, [name for name in found if name != ours]), (PLAIN.get(ours), plain)):
            if codec in found:
                mine = Results.load(found[codec])
                frames += [against(mine, Results.load(found[rival])) for rival in rivals]
    if not frames:
        raise DataError(f"There are no results of ours in {folder}: make them with `make measure`.")
    return pd.concat(frames, ignore_index=True)


def markdown(found: pd.DataFrame) -> str:
    """The README's tables: points of accuracy at the coarse level, ours less theirs, for one classifier a set."""
    lines = []
    for pictures, (words, classifier, budgets, equal) in SHOWN.items():
        of_set = found[(found["pictures"] == pictures) & (found["classifier"] == classifier)]
        for codec, of_codec in of_set.groupby("codec", sort=False):
            lines += [*_table(of_codec, f"{words} ({pictures}), {codec}", budgets, equal), ""]
    return "\n".join(lines).rstrip()


def _table(found: pd.DataFrame, words: str, budgets: tuple[int, ...], equal: int) -> list[str]:
    """One codec of ours on one set, by one classifier."""
    coarse = found[found["level"] == found["level"].iloc[0]].set_index(["rival", "budget_bytes"])
    mine = coarse.groupby("budget_bytes")["ours"].first()
    heads = " | ".join(f"{b:,} B (ours {100 * mine[b]:.1f})" for b in budgets)
    lines = [f"| {words} | {heads} | bytes for ours at {equal:,} |", "|---" * (len(budgets) + 2) + "|"]
    compared = {name for name in found["rival"] if not apart(name)}
    for rival in sorted(compared, key=lambda name: (list(KNOWN).index(name) if name in KNOWN else 99, name)):
        cells = [_cell(coarse.loc[(rival, b)]) if (rival, b) in coarse.index else "" for b in budgets]
        cells.append(_equal(coarse.loc[(rival, equal)]))
        lines.append(f"| {rival} | {' | '.join(cells)} |")
    return lines


def _equal(row: Any) -> str:
    """Bytes of the rival at ours' accuracy."""
    if math.isfinite(row["rival_bytes_for_ours"]):
        return f"{row['rival_bytes_for_ours']:,.0f}"
    return f"above it with {row['rival_first_bytes']:,.0f}" if row["rival_first"] > row["ours"] else "never"


def _cell(row: Any) -> str:
    if row["n_decodable"] == 0:
        return "no file"
    some = "" if row["n_decodable"] == row["n"] else f", {row['n_decodable']:,} files"
    return interval(row["difference"], row["low"], row["high"], beside=some)


PUBLISHED = Published("against", "results/against.csv", of_rows(from_shipped, markdown))

if __name__ == "__main__":
    sys.exit(PUBLISHED.command("Ours against every other codec."))
