"""The ledger: each numeric or ordering claim of the paper, what is found here, and a verdict that follows from the two.

``data/ledger/claims.csv`` holds the claims and how each is checked; no finding is ever typed in. ``python -m
hierlib.evaluation.ledger --write`` computes all of them from what ships, and writes ``data/ledger/ledger.csv`` and the
table in the README.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..files import shipped
from .findings import Found, NotMeasured, Shelf, find
from .publish import Published

if TYPE_CHECKING:
    from .results import Results

REPRODUCED, NOT, INCOMPARABLE, NOT_RUN = "reproduced", "not reproduced", "not comparable", "not run"
KINDS = ("value", "seeds", "order", "text", "elsewhere", "order elsewhere", "")
FIELDS = ("id", "where", "claim", "kind", "paper", "tolerance", "measure", "why", "command")


@dataclass(frozen=True)
class Claim:
    """One row of claims.csv.

    where: section, table or figure. kind: how the verdict is reached (see ``verdict``). paper: its value, or what it
    says. tolerance: for a value. measure: a finding with its arguments; empty if there is none. why: what a reader of
    the verdict must know. command: what would settle it, where it is not settled here.
    """

    id: str
    where: str
    claim: str
    kind: str
    paper: str
    tolerance: float
    measure: str
    why: str
    command: str


@dataclass(frozen=True)
class Row:
    """A claim with its verdict; found is None where nothing was measured, and missing says what that would take."""

    claim: Claim
    verdict: str
    found: Found | None
    missing: str = ""

    @property
    def ours(self) -> str:
        """The finding in words: value and interval, or text."""
        if self.found is None:
            return ""
        if math.isnan(self.found.value):
            return self.found.text
        digits = 3 if abs(self.found.value) < 10 else 1
        sign = "+" if self.claim.kind.startswith("order") else ""
        spread = f" ({self.found.low:{sign}.{digits}f} to {self.found.high:{sign}.{digits}f})"
        number = f"{self.found.value:{sign}.{digits}f}" + ("" if math.isnan(self.found.low) else spread)
        if self.claim.kind != "order elsewhere":
            return number
        return f"{'holds' if holds(self.found) else 'does not hold'} here: {number}"


def verdict(kind: str, paper: str, tolerance: float, found: Found | None) -> str:
    """The verdict, from the paper's word and ours alone.

    value: within the tolerance of the paper's number. seeds: the paper's number lies between our least and most, give
    or take the tolerance. order: what should be larger is, with all of its interval above 0. text: the same word.
    elsewhere, order elsewhere: of other data, weights or rivals than the paper's, so it does not compare, whatever was
    found. Nothing found: not run.
    """
    if kind not in KINDS:
        raise DataError(f"No claim is of the kind {kind!r}; there are {', '.join(KINDS)}.")
    if found is None:
        return NOT_RUN
    if kind.endswith("elsewhere"):
        return INCOMPARABLE
    if kind == "value":
        held = abs(found.value - float(paper)) <= tolerance + 1e-12
    elif kind == "seeds":
        held = found.low - tolerance <= float(paper) <= found.high + tolerance
    elif kind == "order":
        held = holds(found)
    else:
        held = found.text == paper
    return REPRODUCED if held else NOT


def holds(found: Found) -> bool:
    """Whether a difference is above 0 with all of its interval, where it has one."""
    return (found.value if math.isnan(found.low) else found.low) > 0


def claims(path: Path | None = None) -> list[Claim]:
    """The claims, shipped ones if None. Raises DataError for a table of other columns, or a number that is none."""
    path = path or shipped("ledger", "claims.csv")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise DataError(f"{path} has the columns {reader.fieldnames}; expected {', '.join(FIELDS)}.")
        try:
            return [Claim(tolerance=float(row.pop("tolerance") or 0), **row) for row in reader]
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}: mend that row.") from None


def ledger(
    results: Sequence[Results], *, codec: str = "", ablations: Path | None = None, table: Path | None = None
) -> list[Row]:
    """Every claim with what is found for it. results: measured ones, of any codecs and pictures."""
    shelf = Shelf(results, ablations, codec)
    rows = []
    for claim in claims(table):
        found, missing = None, ""
        if claim.measure:
            try:
                found = find(claim.measure, shelf)
            except NotMeasured as error:
                missing = str(error)
        rows.append(Row(claim, verdict(claim.kind, claim.paper, claim.tolerance, found), found, missing))
    return rows


def frame(rows: Sequence[Row]) -> Any:
    """The ledger as a table to be shown or saved: text in every cell."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "id": row.claim.id,
                "where": row.claim.where,
                "claim": row.claim.claim,
                "paper": row.claim.paper,
                "ours": row.ours,
                "tolerance": f"{row.claim.tolerance:g}" if row.claim.tolerance else "",
                "verdict": row.verdict,
                "why": row.claim.why + (f" Missing: {row.missing}." if row.missing else ""),
                "data": row.found.data + (f", n = {row.found.n}" if row.found.n else "") if row.found else "",
                "recipe": row.claim.measure,
                "command": row.claim.command if row.verdict in (NOT_RUN, INCOMPARABLE) else "",
            }
            for row in rows
        ]
    )


def markdown(rows: Sequence[Row]) -> str:
    """The table of the README: how many of each verdict, and a line for each claim."""
    counts = {v: sum(row.verdict == v for row in rows) for v in (REPRODUCED, NOT, INCOMPARABLE, NOT_RUN)}
    told = ", ".join(f"{n} {name}" for name, n in counts.items())
    lines = [f"{len(rows)} claims: {told}.", "", "| where | the paper | says | here | verdict |"]
    lines.append("|---|---|---|---|---|")
    commands: list[str] = []
    for line in frame(rows).to_dict("records"):
        ours, command = f"{line['ours']}; {line['data']}" if line["ours"] else "", line["command"]
        if command and command not in commands:
            commands.append(command)
        asked = f" [{commands.index(command) + 1}]" if command else ""
        cells = (line["where"], line["claim"], line["paper"], ours, f"**{line['verdict']}**{asked}. {line['why']}")
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").strip() for cell in cells) + " |")
    lines += ["", "What would settle what is not settled here:", ""]
    return "\n".join([*lines, *(f"{number}. `{command}`" for number, command in enumerate(commands, 1))])


def from_shipped(codec: str = "") -> list[Row]:
    """The ledger of what travels with the project."""
    from .results import Results

    folder = shipped("results")
    return ledger(
        [Results.load(path) for path in sorted(folder.glob("*.parquet"))], codec=codec, ablations=folder / "ablations"
    )


def _made() -> tuple[Any, str]:
    rows = from_shipped()
    return frame(rows), markdown(rows)


PUBLISHED = Published("ledger", "ledger/ledger.csv", _made, None)

if __name__ == "__main__":
    sys.exit(PUBLISHED.command("The paper's claims and ours."))
