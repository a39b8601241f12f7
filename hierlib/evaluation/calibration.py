"""Does 80 % sure mean right four times in five, at each level and at each number of bytes?

The confidence of a level is the summed probability of the group that was answered. Pictures of which nothing could be
decoded are left out: nobody was sure of anything there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from .results import Results


def bins_of(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Reliability: per bin of equal width its low and high edge, n, mean confidence and accuracy (NaN where n is 0).

    confidence: (n,) in [0, 1]; right: (n,) bool. A value on an edge belongs to the bin below it, as in Guo et al. 2017.
    """
    import pandas as pd

    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    if confidence.shape != right.shape or confidence.ndim != 1 or not ((confidence >= 0) & (confidence <= 1)).all():
        raise DataError("Calibration needs one confidence in [0, 1] and one answer a picture.")
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    n = np.bincount(which, minlength=bins)
    sums = [np.bincount(which, weights=values, minlength=bins) for values in (confidence, right)]
    with np.errstate(invalid="ignore"):
        sure, accuracy = (total / np.where(n, n, np.nan) for total in sums)
    edges = np.linspace(0, 1, bins + 1)
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "n": n, "confidence": sure, "accuracy": accuracy})


def expected_calibration_error(reliability: pd.DataFrame) -> float:
    """ECE: the mean distance of confidence and accuracy over bins, weighted by their pictures; NaN for no picture."""
    n = reliability["n"].to_numpy(float)
    if not n.sum():
        return float("nan")
    gap = (reliability["accuracy"] - reliability["confidence"]).abs().fillna(0).to_numpy()
    return float((n * gap).sum() / n.sum())


def reliability(
    results: Results, level: str, point: str, classifier: str | None = None, bins: int = 10
) -> pd.DataFrame:
    """``bins_of`` the pictures at one point ("256 B", "original"). Raises DataError for results without confidence."""
    name = f"confidence_{level}"
    if name not in results.rows:
        raise DataError(f"These results have no {name}: they were measured before it was kept; measure them again.")
    rows = results.of(classifier)
    rows = rows[(rows["point"] == point) & rows["decodable"]]
    return bins_of(rows[name].to_numpy(), rows[f"right_{level}"].to_numpy(), bins)


def calibration(results: Results, classifier: str | None = None, bins: int = 10) -> pd.DataFrame:
    """A frame, one row per point and level: n pictures, mean confidence, accuracy, and ECE over ``bins``."""
    import pandas as pd

    rows = []
    for point in results.of(classifier)["point"].unique():
        for level in results.levels:
            found = reliability(results, level, point, classifier, bins)
            n = int(found["n"].sum())
            if n:
                weights = found["n"] / n
                sure, right = ((found[name].fillna(0) * weights).sum() for name in ("confidence", "accuracy"))
                ece = expected_calibration_error(found)
                rows.append({"point": point, "level": level, "n": n, "confidence": sure, "accuracy": right, "ece": ece})
    return pd.DataFrame(rows, columns=["point", "level", "n", "confidence", "accuracy", "ece"])
