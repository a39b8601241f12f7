"""What the task loss buys: each codec trained with it less the same codec trained without, for as many updates.

Weights come in both regimes (``dpict`` and ``dpict-task``, ``tiny-plain`` and ``tiny``), and nothing else differs.
``python -m hierlib.evaluation.regimes --write`` writes ``data/results/regimes.csv`` (every classifier, level and
budget, PSNR) and the README's table. No number is typed in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING

from ..baselines import TASK, without_task
from ..errors import DataError
from ..files import shipped
from .curves import paired_difference
from .measure import SETS
from .publish import Published, interval, of_rows
from .results import Results, judges_of_all

if TYPE_CHECKING:
    import pandas as pd

SHOWN = (64, 128, 256, 512)  # bytes, in the README
PSNR = "psnr_db"
NOBODY = "-"  # judges it


def regimes(plain: Results, task: Results, levels: int | None = None) -> pd.DataFrame:
    """One row for each measure (accuracy at each level by each classifier, and PSNR, which nobody judges) and budget:
    with the task loss less without, with a 95 % interval (paired bootstrap over pictures). levels: how many, coarse
    first; all if None. Raises DataError for results of other pictures.
    """
    import pandas as pd

    frames = []
    accuracies = [f"right_{level}" for level in plain.levels[:levels]]
    for classifier, measure in (*product(judges_of_all([plain, task]), accuracies), (NOBODY, PSNR)):
        found = paired_difference(plain, task, measure, None if classifier == NOBODY else classifier)
        found.insert(0, "measure", measure)
        found.insert(0, "classifier", classifier)
        found.insert(0, "codec", task.meta["codec"]["name"].removesuffix(TASK))
        found.insert(0, "pictures", plain.meta["pictures"]["name"])
        frames.append(found)
    return pd.concat(frames, ignore_index=True)


def pairs(results: Iterable[Results]) -> list[tuple[Results, Results]]:
    """Of results of one set of pictures, those of codecs that are there in both regimes: without, with."""
    by_name = {result.meta["codec"]["name"]: result for result in results}
    return [(by_name[plain], by_name[task]) for plain, task in both(by_name)]


def both(names: Iterable[str]) -> list[tuple[str, str]]:
    """Of codecs by name, those that are there in both regimes: without, with; ours first."""
    names = set(names)
    found = [(plain, task) for task in sorted(names) if (plain := without_task(task)) in names and plain is not None]
    return sorted(found, key=lambda pair: pair[1].endswith(TASK))


def from_shipped() -> pd.DataFrame:
    """Of all pairs among the shipped results. Raises DataError if there is none."""
    import pandas as pd

    frames = []
    for pictures, *_ in SETS:
        paths = {
            path.stem.removesuffix(f"-{pictures}"): path for path in shipped("results").glob(f"*-{pictures}.parquet")
        }
        frames += [regimes(Results.load(paths[plain]), Results.load(paths[task])) for plain, task in both(paths)]
    if not frames:
        raise DataError("No codec's results ship in both regimes: make them with `make measure`.")
    return pd.concat(frames, ignore_index=True)


def markdown(found: pd.DataFrame) -> str:
    """The README's table: a row for each pair and classifier at the coarse level in points, one for its PSNR in dB."""
    budgets = [budget for budget in SHOWN if (found["budget_bytes"] == budget).any()]
    lines = head("codec", budgets)
    for (_, codec), of_codec in found.groupby(["pictures", "codec"], sort=False):
        coarse = of_codec["measure"].iloc[0]
        for classifier, rows in of_codec[of_codec["measure"] == coarse].groupby("classifier", sort=False):
            lines.append(line(codec, classifier, rows, budgets))
        lines.append(line(codec, NOBODY, of_codec[of_codec["measure"] == PSNR], budgets))
    return "\n".join(lines)


def head(what: str, budgets: Sequence[int]) -> list[str]:
    """The first two lines of a table of ``line``."""
    shown = " | ".join(f"{budget:,} B" for budget in budgets)
    return [f"| {what} | judged by | {shown} |", "|---" * (len(budgets) + 2) + "|"]


def line(codec: str, judge: str, rows: pd.DataFrame, budgets: Sequence[int]) -> str:
    """A line of one measure by one judge: accuracy in points or, of nobody, PSNR in dB."""
    scale, digits, words = (1, 2, "PSNR, dB") if judge == NOBODY else (100, 1, judge)
    cells = []
    for budget in budgets:
        at = rows.set_index("budget_bytes").loc[budget]
        cells.append(interval(at["difference"], at["low"], at["high"], scale=scale, digits=digits))
    return f"| {codec} | {words} | {' | '.join(cells)} |"


PUBLISHED = Published("regimes", "results/regimes.csv", of_rows(from_shipped, markdown))

if __name__ == "__main__":
    sys.exit(PUBLISHED.command("What the task loss buys."))
