"""Every codec on the Kodak pictures at hand: PSNR at JPEG AI's rates, in one table.

``python -m hierlib.evaluation.kodak --write`` writes ``data/results/kodak.csv`` and the README's table from the
``<codec>-kodak.distortion.json`` of ``data/results``. No number is typed in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..baselines import TASK, apart, peer
from ..errors import DataError
from ..files import shipped
from .distortion import SCHEMA, means
from .publish import Published, of_rows

if TYPE_CHECKING:
    import pandas as pd

END = "-kodak.distortion.json"
SHOWN = ("0.06", "0.12", "0.25", "0.5", "whole")  # bits per pixel, in the README
CLOSE_BPP = 0.006  # a file that is this near a rate has it


def from_shipped() -> pd.DataFrame:
    """A row for each codec and rate ("whole": the whole file), means over pictures: n, bytes, bpp, psnr_db, ms_ssim.

    Ours first, then the peers, those with the task loss after those without, and last those that no figure of rates
    has. Raises DataError if there are no results.
    """
    import pandas as pd

    frames = []
    for path in sorted(shipped("results").glob(f"*{END}"), key=_order):
        found = json.loads(path.read_text())
        if found["meta"]["schema"] != SCHEMA:
            raise DataError(f"{path} has the schema {found['meta']['schema']}, expected {SCHEMA}: measure it anew.")
        table = means(pd.DataFrame(found["rows"])).reset_index(names="rate_bpp")
        table.insert(0, "codec", path.name.removesuffix(END))
        frames.append(table)
    if not frames:
        raise DataError(f"There are no results *{END}: make them with `python -m hierlib.evaluation.distortion`.")
    found = pd.concat(frames, ignore_index=True)
    found["rate_bpp"] = [str(rate) for rate in found["rate_bpp"]]
    return found


def _order(path: Path) -> tuple[bool, bool, bool, str]:
    name = path.name.removesuffix(END)
    ours = not peer(name)
    return not ours, apart(name), not ours and name.endswith(TASK), "" if name == "tiny" else name


def markdown(found: pd.DataFrame) -> str:
    """The README's table: PSNR in dB; in brackets the bits per pixel of what had ended before, and of whole files."""
    heads = [rate if rate == "whole" else f"{rate} bpp" for rate in SHOWN]
    lines = [f"| codec | {' | '.join(heads)} |", "|---" * (1 + len(SHOWN)) + "|"]
    for codec, rows in found.groupby("codec", sort=False):
        by_rate = rows.set_index("rate_bpp")
        lines.append(f"| {codec} | {' | '.join(_cell(rate, by_rate.loc[rate]) for rate in SHOWN)} |")
    return "\n".join(lines)


def _cell(rate: str, row: pd.Series) -> str:
    met = rate != "whole" and abs(row["bpp"] - float(rate)) < CLOSE_BPP
    return f"{row['psnr_db']:.1f}" + ("" if met else f" ({row['bpp']:.2f})")


PUBLISHED = Published("kodak", "results/kodak.csv", of_rows(from_shipped, markdown))

if __name__ == "__main__":
    sys.exit(PUBLISHED.command("Every codec on the Kodak pictures."))
