"""What an encoder that searches buys: ours with ``training/refine.py`` less ours without, and the task loss with both.

``python -m hierlib.evaluation.refined --write`` writes ``data/results/refined.csv`` and the README's table, from
``data/results/refined`` (made by ``evaluation.measure``) and the results beside it. No number is typed in.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from ..files import shipped
from .measure import LARGE, PLAN
from .publish import Published, of_rows
from .regimes import PSNR, head, line, regimes
from .results import Results

if TYPE_CHECKING:
    import pandas as pd

SHOWN = {False: (64, 128, 256, 512), True: (512, 1024, 2048, 4096)}  # bytes, in the README: of small and large pictures
# less, codec: a pair shows on every set of pictures that both were measured on
PAIRS = (
    ("tiny", "tiny-refined"),
    ("tiny-plain", "tiny-plain-refined"),
    ("tiny-plain-refined", "tiny-refined"),
    ("tiny-plain", "tiny-refined"),
    ("photo", "photo-refined"),
    ("jpeg2000", "photo-refined"),
)


def measured(folder: Path) -> dict[tuple[str, str], Results]:
    """What is there of the codecs of ``PAIRS``, by codec and set of pictures, in the order of the sets."""
    named = {name for pair in PAIRS for name in pair}
    there = [made for made in PLAN if made.codec_name in named and made.path(folder).exists()]
    return {(made.codec_name, made.pictures): Results.load(made.path(folder)) for made in there}


def from_shipped() -> pd.DataFrame:
    """Every pair, measure, classifier and budget, with 95 % intervals (paired bootstrap over pictures)."""
    import pandas as pd

    found, frames = measured(shipped("results")), []
    for less, codec in PAIRS:
        for pictures in dict.fromkeys(pictures for _, pictures in found):
            if (less, pictures) in found and (codec, pictures) in found:
                rows = regimes(found[less, pictures], found[codec, pictures])
                rows.insert(2, "less", less)
                frames.append(rows.assign(codec=codec))
    if not frames:
        raise DataError("No results of an encoder that searches ship: make them with `make measure`.")
    return pd.concat(frames, ignore_index=True)


def markdown(found: pd.DataFrame) -> str:
    """The README's table: a row for each pair and classifier at the coarse level in points, one for its PSNR in dB."""
    lines = []
    for pictures, of_set in found.groupby("pictures", sort=False):
        budgets = SHOWN[of_set["budget_bytes"].max() == LARGE[-1]]
        lines += head(f"on {pictures}", budgets)
        coarse = of_set["measure"].iloc[0]
        shown = of_set[of_set["measure"].isin([coarse, PSNR])]
        for (codec, less, judge), rows in shown.groupby(["codec", "less", "classifier"], sort=False):
            lines.append(line(f"{codec} less {less}", judge, rows, budgets))
        lines.append("")
    return "\n".join(lines).rstrip()


PUBLISHED = Published("refined", "results/refined.csv", of_rows(from_shipped, markdown))

if __name__ == "__main__":
    sys.exit(PUBLISHED.command("What an encoder that searches buys."))
