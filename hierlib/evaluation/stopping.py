"""When may a receiver stop? As soon as the answer at the level it wants is sure enough.

How sure is enough is read off held-out pictures: one half of them sets the threshold, such that those who stop are
wrong no more often than was asked for, by a binomial test over all thresholds tried (Angelopoulos et al., "Learn then
Test", 2021); the other half says how often they really were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BudgetError, DataError
from .confidence import Confidence, fit, points, shipped_results

if TYPE_CHECKING:
    import pandas as pd

    from ..hierarchy.tree import Hierarchy
    from .results import Results

THRESHOLDS = tuple(np.round(np.arange(0.30, 0.99, 0.03), 2).tolist())  # tried, from unsure to sure
DOUBT = 0.1  # chance that the calibrating half promises more than is true


@dataclass(frozen=True)
class StopRule:
    """Stop at the first look at which the calibrated confidence at ``level`` is ``threshold`` or more.

    threshold: above 1 if no threshold keeps the promise: such a rule never stops. looks_bpp: where the receiver looks.
    What the other half said: n pictures; stopped: share that stopped before the end; error: share of those that were
    wrong, with its 95 % interval; mean_bytes against whole_bytes; right and right_whole: share of all pictures whose
    answer is right when the rule is followed, and with the whole file.
    """

    level: str
    target: float
    threshold: float
    looks_bpp: tuple[float, ...]
    confidence: Confidence
    n: int
    stopped: float
    error: float
    interval: tuple[float, float]
    mean_bytes: float
    whole_bytes: float
    right: float
    right_whole: float

    @property
    def saved(self) -> float:
        """Share of the bytes that need not be sent."""
        return 1 - self.mean_bytes / self.whole_bytes

    def looks(self, pixels: int, size_bytes: int) -> list[int]:
        """Bytes at which to look at a picture of ``pixels``, below ``size_bytes``, rising; the end is always a look."""
        at = sorted({max(1, round(bpp * pixels / 8)) for bpp in self.looks_bpp})
        return [n for n in at if n < size_bytes] + [size_bytes]

    def enough(self, level_confidence: float, n_bytes: int, pixels: int) -> bool:
        """Whether the classifier's own confidence, after ``n_bytes``, is enough to stop."""
        index = self.confidence.levels.index(self.level)
        return self.confidence(index, level_confidence, n_bytes, pixels) >= self.threshold

    def __str__(self) -> str:
        if self.threshold > 1:
            return f"{self.level}: no threshold keeps errors below {self.target:.0%}, so never stop"
        low, high = self.interval
        return (
            f"{self.level}: stop at {self.threshold:.0%} sure; {self.stopped:.0%} of {self.n} held-out pictures stop, "
            f"{self.error:.1%} of them wrong ({low:.1%} to {high:.1%}; asked for: {self.target:.0%}); "
            f"{self.saved:.0%} of the bytes saved, {self.right:.1%} right instead of {self.right_whole:.1%}"
        )


def calibrate(
    results: Results, level: str, target: float = 0.1, classifier: str | None = None, seed: int = 0
) -> StopRule:
    """The lowest threshold that keeps the error rate of those who stop below ``target``; see the module.

    Half of the pictures, drawn with ``seed``, fit confidences and threshold; the rest report. Raises BudgetError for a
    target outside (0, 1), DataError for a level that is not there or results without confidences.
    """
    if not 0 < target < 1:
        raise BudgetError(f"An error rate of {target} cannot be asked for: give one between 0 and 1, such as 0.1.")
    if level not in results.levels:
        raise DataError(f"These results have no level {level!r}; their levels are {', '.join(results.levels)}.")
    pictures = np.sort(results.rows["picture"].unique())
    order = np.random.default_rng(seed).permutation(pictures)
    ours, others = order[: len(order) // 2], order[len(order) // 2 :]
    confidence = fit(results, classifier, ours)
    halves = [_paths(points(results, classifier, half), confidence, level) for half in (ours, others)]
    threshold = _lowest(halves[0], target)
    at = points(results, classifier)
    looks = tuple(sorted({round(float(b), 6) for b in at[at["kind"] == "budget"]["bpp"].groupby(at["point"]).max()}))
    told = _followed(halves[1], threshold)
    return StopRule(level, target, threshold, looks, confidence, **told)


def shipped_rule(
    codec: Any, classifier: Any, hierarchy: Hierarchy, level: str | None = None, target: float = 0.2
) -> StopRule | None:
    """``calibrate`` on what ships for this codec, classifier and hierarchy; None if nothing does.

    level: the coarsest, if None.
    """
    found = shipped_for(codec, classifier, hierarchy)
    return calibrate(found, level or hierarchy.levels[0], target, classifier.name) if found is not None else None


def shipped_for(codec: Any, classifier: Any, hierarchy: Hierarchy) -> Results | None:
    """The shipped results with confidences of this codec, classifier and hierarchy; None if there are none."""
    fingerprint = getattr(codec, "fingerprint", None)
    if not isinstance(fingerprint, bytes):
        return None
    found = shipped_results(fingerprint.hex(), classifier.name, hierarchy.name, tuple(hierarchy.K))
    return found[0] if found else None


def shipped_trade(codec: Any, classifier: Any, hierarchy: Hierarchy, level: str | None = None) -> Any:
    """``trade`` on what ships for this codec, classifier and hierarchy; a frame without rows if nothing does."""
    import pandas as pd

    found = shipped_for(codec, classifier, hierarchy)
    if found is None:
        return pd.DataFrame(columns=["asked_for", "threshold", "stopped", "error", "saved", "right", "right_whole"])
    return trade(found, level or hierarchy.levels[0], classifier=classifier.name)


def followed(rule: StopRule, results: Results, classifier: str | None = None) -> dict[str, Any]:
    """What comes of following a rule on other measured pictures: n, stopped, error, interval, bytes, right answers."""
    return _followed(_paths(points(results, classifier), rule.confidence, rule.level), rule.threshold)


def trade(results: Results, level: str, targets: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4), **options: Any) -> Any:
    """A frame, a row for each error rate asked for: threshold, share that stops, its error, bytes saved, accuracy."""
    import pandas as pd

    rules = [calibrate(results, level, target, **options) for target in targets]
    rows = [
        {
            "asked_for": rule.target,
            "threshold": rule.threshold if rule.threshold <= 1 else None,
            "stopped": rule.stopped,
            "error": rule.error,
            "error_low": rule.interval[0],
            "error_high": rule.interval[1],
            "mean_bytes": rule.mean_bytes,
            "whole_bytes": rule.whole_bytes,
            "saved": rule.saved,
            "right": rule.right,
            "right_whole": rule.right_whole,
        }
        for rule in rules
    ]
    return pd.DataFrame(rows)


def _paths(rows: pd.DataFrame, confidence: Confidence, level: str) -> pd.DataFrame:
    """Per picture and look, in order: how sure (calibrated), right or not, bytes, and whether it is the last."""
    curve = confidence.curves[confidence.levels.index(level)]
    kept = rows[["picture", "bytes"]].copy()
    kept["sure"] = curve(rows[f"confidence_{level}"].to_numpy(), rows["bpp"].to_numpy())
    kept["right"] = rows[f"right_{level}"].to_numpy(dtype=bool)
    kept = kept.drop_duplicates(["picture", "bytes"])
    kept["last"] = ~kept["picture"].duplicated(keep="last")
    return kept


def _stops(paths: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Per picture the row at which it stops: the first that is sure enough, else its last."""
    return paths[(paths["sure"] >= threshold) | paths["last"]].drop_duplicates("picture")


def _lowest(paths: pd.DataFrame, target: float) -> float:
    from scipy.stats import binom

    for threshold in THRESHOLDS:
        early = _early(_stops(paths, threshold))
        wrong = int((~early["right"]).sum())
        if len(early) and binom.cdf(wrong, len(early), target) <= DOUBT / len(THRESHOLDS):
            return threshold
    return float("inf")


def _early(stops: pd.DataFrame) -> pd.DataFrame:
    return stops[~stops["last"]]


def _followed(paths: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """What came of following a threshold, on pictures that had no part in choosing it."""
    from scipy.stats import binomtest

    stops, ends = _stops(paths, threshold), paths[paths["last"]]
    early = _early(stops)
    wrong, n = int((~early["right"]).sum()), len(early)
    interval = binomtest(wrong, n).proportion_ci(method="exact") if n else (0.0, 1.0)
    return {
        "n": len(ends),
        "stopped": n / max(1, len(ends)),
        "error": wrong / n if n else float("nan"),
        "interval": (float(interval[0]), float(interval[1])),
        "mean_bytes": float(stops["bytes"].mean()),
        "whole_bytes": float(ends["bytes"].mean()),
        "right": float(stops["right"].mean()),
        "right_whole": float(ends["right"].mean()),
    }
