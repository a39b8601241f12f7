"""The price of progressiveness: what one file for all budgets loses against a file made for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .curves import bytes_at

if TYPE_CHECKING:
    from .results import Results


def price_of_progressiveness(
    progressive: Results, singles: Sequence[Results], measure: str, classifier: str | None = None
) -> Any:
    """A frame, one row per budget of the progressive codec at which every picture has a whole file of some other one.

    singles: codecs that make a file per budget (FreshJPEG2000), or one of a fixed rate each (a learned codec per
    lambda); their candidates are the points at which all files are whole and decode, at their mean bytes. Columns:
    budget_bytes; single: the best value that a candidate of at most that many bytes has, and whose; progressive;
    price: single - progressive; bytes_ratio: bytes that the progressive file needs for the single's value over the
    single's bytes (NaN where it never has that value). Raises DataError for different pictures.
    """
    import pandas as pd

    strangers = [s.meta["codec"]["name"] for s in singles if s.meta["pictures"] != progressive.meta["pictures"]]
    if strangers or not singles:
        raise DataError(
            f"A price is told on the same pictures; {strangers[0] if strangers else 'nothing'} is compared."
        )
    candidates = [point for single in singles for point in _whole_points(single, measure, classifier)]
    n_bytes, values = progressive.curve(measure, classifier)
    rows = []
    table = progressive.table()
    table = table[(table["classifier"] == (classifier or progressive.classifiers[0])) & (table["kind"] == "budget")]
    for budget, value in zip(table["budget_bytes"], table[measure]):
        fitting = [(best, -sent, whose) for sent, best, whose in candidates if sent <= budget]
        if not fitting:
            continue
        best, sent, whose = max(fitting)  # of equally good ones the shortest
        needed = bytes_at(n_bytes, values, best)
        rows.append(
            {"budget_bytes": int(budget), "single": best, "of": whose, "progressive": float(value)}
            | {"price": best - float(value), "bytes_ratio": needed / -sent}
        )
    return pd.DataFrame(rows, columns=["budget_bytes", "single", "of", "progressive", "price", "bytes_ratio"])


def _whole_points(results: Results, measure: str, classifier: str | None) -> list[tuple[float, float, str]]:
    """(mean bytes, mean measure, codec) of the points at which every file is whole and decodable."""
    rows = results.of(classifier)
    rows = rows[rows["kind"].isin(("budget", "whole"))]
    if measure not in rows:
        raise DataError(f"These results have no measure {measure!r}; they have {', '.join(results.measures)}.")
    found = []
    for _, group in rows.groupby("point", sort=False):
        if bool((group["complete"] & group["decodable"]).all()):
            values = group[measure].astype(float).to_numpy()
            found.append((float(group["bytes"].mean()), float(np.nanmean(values)), str(results.meta["codec"]["name"])))
    return found
