"""A table that a command computes, where readers look for it: a CSV under ``data/`` and a page between two marks."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import HierlibError, refuse
from ..files import PACKAGE, between_marks, write_bytes

if TYPE_CHECKING:
    import pandas as pd


FLOATS = "%.6g"


def as_written(rows: pd.DataFrame) -> pd.DataFrame:
    """What a reader of the CSV has: a page made of this, and one made of the file, say the same in the last digit."""
    import pandas as pd

    return pd.read_csv(io.StringIO(rows.to_csv(index=False, float_format=FLOATS)))


def interval(
    value: float, low: float, high: float, *, scale: float = 100, digits: int = 1, sign: str = "+", beside: str = ""
) -> str:
    """A cell: the value and its interval, times ``scale``. sign: "" where plus says nothing; beside ends the bracket.

    >>> interval(0.5, 0.25, 0.75, sign="")
    '50.0 (25.0 to 75.0)'
    """
    middle, least, most = (f"{scale * x:{sign}.{digits}f}" for x in (value, low, high))
    return f"{middle} ({least} to {most}{beside})"


def of_rows(
    rows: Callable[[], pd.DataFrame], page: Callable[[pd.DataFrame], str]
) -> Callable[[], tuple[pd.DataFrame, str]]:
    """How a table is made whose page follows from its rows, as a reader of the CSV has them."""

    def make() -> tuple[pd.DataFrame, str]:
        found = as_written(rows())
        return found, page(found)

    return make


@dataclass(frozen=True)
class Published:
    """name: of the README's place, and of the module; csv: path under ``data/``; make: all rows, and the page."""

    name: str
    csv: str
    make: Callable[[], tuple[pd.DataFrame, str]]
    float_format: str | None = FLOATS

    def within(self, readme: str, page: str) -> str:
        """The README with ``page`` between its two marks. Raises DataError if it has not both."""
        return between_marks(readme, self.name, page)

    def write(self, rows: pd.DataFrame, page: str) -> None:
        """Both into place. Raises DataError if the README has no such place."""
        root = PACKAGE.parent
        readme = root / "README.md"
        told = self.within(readme.read_text(encoding="utf-8"), page)
        text = io.StringIO()
        rows.to_csv(text, index=False, lineterminator="\n", float_format=self.float_format)
        write_bytes(root / "data" / self.csv, text.getvalue().encode())
        write_bytes(readme, told.encode())

    def command(self, what: str, argv: Sequence[str] | None = None) -> int:
        """The command line ``python -m hierlib.evaluation.<name> [--write]``; returns the exit code."""
        parser = argparse.ArgumentParser(prog=f"hierlib.evaluation.{self.name}", description=what)
        parser.add_argument("--write", action="store_true", help=f"write data/{self.csv} and the README's table")
        arguments = parser.parse_args(argv)
        try:
            rows, page = self.make()
            if arguments.write:
                self.write(rows, page)
            print(page)
        except HierlibError as error:
            return refuse(error)
        return 0
