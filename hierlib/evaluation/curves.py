"""Accuracy against bytes, compared honestly.

A Bjontegaard difference needs curves that rise. Accuracies dip by half a point without meaning anything, and a cubic
through 20 / 44 / 43.5 / 58 per cent says +20,000 %. So a monotone fit (isotonic regression) comes first, then PCHIP in
log-bytes by the ``bjontegaard`` package; and beside it stands the mean accuracy over log-bytes, which needs no inverse
and never breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from .results import Results

TILT = 1e-6  # of the curve's range: makes a plateau of the isotonic fit invertible, as the steep step that it is


def mean_over_log_bytes(
    n_bytes: np.ndarray, accuracy: np.ndarray, low: float | None = None, high: float | None = None
) -> float:
    """Mean accuracy over log-bytes between ``low`` and ``high`` (the curve's ends if None), by the trapezoidal rule.

    >>> round(mean_over_log_bytes([1, 2, 4, 8], [20, 44, 43.5, 58]), 2)
    42.17

    Raises DataError for a range that the curve does not cover: it is not continued beyond its ends.
    """
    x, y = _curve(n_bytes, accuracy)
    start, end = (x[0] if low is None else np.log(low)), (x[-1] if high is None else np.log(high))
    if not x[0] - 1e-9 <= start < end <= x[-1] + 1e-9:
        raise DataError(
            f"The curve covers {np.exp(x[0]):.0f} to {np.exp(x[-1]):.0f} bytes; a mean was asked for over "
            f"{np.exp(start):.0f} to {np.exp(end):.0f}: measure at more budgets, or ask for less."
        )
    grid = np.concatenate([[start], x[(x > start) & (x < end)], [end]])
    values = np.interp(grid, x, y)
    return float((np.diff(grid) * (values[1:] + values[:-1]) / 2).sum() / (end - start))


def means_over_log_bytes(by_budget: Any) -> Any:
    """A frame (pictures, budgets) as of ``by_picture`` -> a series, by picture: its ``mean_over_log_bytes`` between the
    lowest and the highest budget; of one budget the value there.

    The mean over pictures is that of their mean curve, and pictures can be resampled.
    """
    values = by_budget.sort_index(axis=1)
    if values.shape[1] == 1:
        return values.iloc[:, 0]
    grid = np.log(values.columns.to_numpy(float))
    step = np.diff(grid)
    weights = (np.append(step, 0) + np.append(0, step)) / 2 / (grid[-1] - grid[0])  # the trapezoidal rule
    return values @ weights


@dataclass(frozen=True)
class BDRate:
    """percent: mean difference of bytes at equal accuracy, second against first (-20: the second needs a fifth less).

    low, high: the accuracies between which both curves are known; overlap: that range over the union of both; n: points
    of each curve. percent is NaN where they share none.
    """

    percent: float
    low: float
    high: float
    overlap: float
    n: tuple[int, int]


def bd_rate(
    anchor_bytes: np.ndarray, anchor_accuracy: np.ndarray, test_bytes: np.ndarray, test_accuracy: np.ndarray
) -> BDRate:
    """Bjontegaard difference of bytes after a monotone fit of both curves."""
    from bjontegaard import bd_rate as library

    anchor, test = (
        _monotone(*_curve(anchor_bytes, anchor_accuracy)),
        _monotone(*_curve(test_bytes, test_accuracy)),
    )
    (_, a), (_, t) = anchor, test
    low, high, n = max(a[0], t[0]), min(a[-1], t[-1]), (len(a), len(t))
    union = max(a[-1], t[-1]) - min(a[0], t[0])
    if not high > low:
        return BDRate(float("nan"), float(low), float(high), 0.0, n)
    (x_a, _), (x_t, _) = anchor, test
    percent = library(np.exp(x_a), a, np.exp(x_t), t, "pchip", require_matching_points=False, min_overlap=0)
    return BDRate(float(percent), float(low), float(high), float((high - low) / union), n)


def bytes_at(n_bytes: np.ndarray, accuracy: np.ndarray, wanted: float) -> float:
    """Bytes at which the monotone fit of a curve reaches ``wanted``; NaN outside of what was measured."""
    inverse = _inverse(*_curve(n_bytes, accuracy))
    if not inverse.x[0] <= wanted <= inverse.x[-1]:
        return float("nan")
    return float(np.exp(inverse(wanted)))


def bytes_at_equal_accuracy(
    anchor: Results, test: Results, measure: str, classifier: str | None = None, accuracies: Any = None
) -> Any:
    """A frame: accuracy, bytes that each needs for it, and the ratio test / anchor (NaN where one never gets there).

    accuracies: five between the lowest and highest that both measured, if None.
    """
    import pandas as pd

    curves = [results.curve(measure, classifier) for results in (anchor, test)]
    if accuracies is None:
        low, high = max(y.min() for _, y in curves), min(y.max() for _, y in curves)
        accuracies = np.linspace(low, high, 5) if high > low else [high]
    needed = [[bytes_at(x, y, a) for x, y in curves] for a in accuracies]
    frame = pd.DataFrame(needed, columns=["anchor_bytes", "test_bytes"])
    frame.insert(0, measure, list(accuracies))
    frame["ratio"] = frame["test_bytes"] / frame["anchor_bytes"]
    return frame


@dataclass(frozen=True)
class Difference:
    """Mean of test minus anchor over n pictures, and its bootstrap interval at ``confidence``."""

    mean: float
    low: float
    high: float
    n: int
    confidence: float


def bootstrap(differences: np.ndarray, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Difference:
    """Percentile bootstrap over pictures of the mean of paired differences; NaNs (nothing to compare) are left out.

    Raises DataError if nothing is left.
    """
    from scipy.stats import bootstrap as resample

    values = np.asarray(differences, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        raise DataError("There is no picture to compare: the two results share none at this point.")
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        return Difference(mean, mean, mean, len(values), confidence)
    found = resample(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=max(1, 4_000_000 // len(values)),
    )
    return Difference(
        mean, float(found.confidence_interval.low), float(found.confidence_interval.high), len(values), confidence
    )


def paired_difference(
    anchor: Results,
    test: Results,
    measure: str,
    classifier: str | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Any:
    """A frame, one row per budget that both measured: difference of means (test - anchor), interval, n pictures.

    The same pictures are drawn for both, so that what is hard for both does not widen the interval. Raises DataError
    if the two were not measured on the same pictures.
    """
    import pandas as pd

    if anchor.meta["pictures"] != test.meta["pictures"]:
        raise DataError(
            f"One result is of {anchor.meta['pictures']}, the other of {test.meta['pictures']}: differences are only "
            "paired on the same pictures."
        )
    one, other = (by_picture(results, measure, classifier) for results in (anchor, test))
    rows = []
    for budget in sorted(set(one.columns) & set(other.columns)):
        found = bootstrap((other[budget] - one[budget]).to_numpy(), confidence, resamples, seed)
        rows.append(
            {"budget_bytes": int(budget), "difference": found.mean, "low": found.low, "high": found.high, "n": found.n}
        )
    return pd.DataFrame(rows, columns=["budget_bytes", "difference", "low", "high", "n"])


def by_picture(results: Results, measure: str, classifier: str | None = None) -> Any:
    """A frame (pictures, budgets) of a measure. Raises DataError for one that was not measured."""
    rows = results.of(classifier, "budget")
    if measure not in rows:
        raise DataError(f"These results have no measure {measure!r}; they have {', '.join(results.measures)}.")
    return rows.assign(value=rows[measure].astype(float)).pivot_table(
        index="picture", columns="budget_bytes", values="value", aggfunc="first"
    )


def _curve(n_bytes: Any, accuracy: Any) -> tuple[np.ndarray, np.ndarray]:
    """(log-bytes, accuracy), rising in bytes; points of equal bytes are averaged."""
    x, y = np.asarray(n_bytes, dtype=float), np.asarray(accuracy, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or not np.isfinite([x, y]).all() or (x <= 0).any():
        raise DataError("A curve is two equally long rows of finite numbers, bytes above 0 and accuracies.")
    known = np.unique(x)
    if len(known) < 2:
        raise DataError(f"A curve needs two points of different bytes; this one has {len(known)}.")
    return np.log(known), np.array([y[x == value].mean() for value in known])


def _monotone(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log-bytes, accuracy) made to rise: the isotonic fit, its plateaus tilted so that it can be inverted."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression().fit_transform(x, y)
    return x, fitted + TILT * (np.ptp(fitted) or 1.0) * np.arange(len(fitted))


def _inverse(x: np.ndarray, y: np.ndarray) -> Any:
    """Accuracy -> log-bytes: PCHIP through the isotonic fit."""
    from scipy.interpolate import PchipInterpolator

    x, fitted = _monotone(x, y)
    return PchipInterpolator(fitted, x)
