"""A table that a command computes, where readers look for it: a CSV under ``data/`` and a page between two marks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ..files import PACKAGE, between_marks, write_bytes

if TYPE_CHECKING:
    import pandas as pd


def publish(name: str, csv: str, rows: pd.DataFrame, table: str, float_format: str | None = None) -> None:
    """Write ``rows`` to ``data/<csv>`` and ``table`` into the README's place called ``name``.

    Raises DataError if the README has no such place.
    """
    root = PACKAGE.parent
    text = io.StringIO()
    rows.to_csv(text, index=False, lineterminator="\n", float_format=float_format)
    write_bytes(root / "data" / csv, text.getvalue().encode())
    readme = root / "README.md"
    write_bytes(readme, between_marks(readme.read_text(encoding="utf-8"), name, table).encode())
