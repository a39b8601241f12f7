"""How often is an answer of this confidence right? Calibrated probabilities, from held-out pictures.

A classifier that has only seen sharp pictures is sure of what few bytes cannot show. Measured results say how often it
was right; a logistic curve for each level, over its own confidence (log-odds) and the bits per pixel, puts that right.

``python -m hierlib.evaluation.confidence`` measures what ships in ``data/confidence``, unless that is of these weights.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, HierlibError, refuse
from ..files import PACKAGE, shipped

if TYPE_CHECKING:
    import pandas as pd

    from ..hierarchy.tree import Hierarchy
    from .results import Results

MOST_SURE = 1 - 1e-4  # log-odds of 1 would be infinite
LEAST_RIGHT = 5  # answers of each kind that a curve is fitted to
BUDGETS = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448)  # bytes, where a receiver looks at 64x64
NOT_KEPT = ("psnr_db", "ms_ssim", "top1_wnid", "probability_", "wup", "_of_top1", "hierarchical_distance")


@dataclass(frozen=True)
class Curve:
    """One level's logistic curve: log-odds of being right = weights . (1, log-odds of the confidence, log2 bpp).

    bpp: the range that was measured, to which other values are clipped.
    """

    weights: tuple[float, float, float]
    bpp: tuple[float, float]

    def __call__(self, confidence: Any, bpp: Any) -> np.ndarray:
        """Arrays of confidences in [0, 1] and bits per pixel -> probabilities of being right."""
        bits = np.clip(np.asarray(bpp, dtype=float), *self.bpp)
        at = self.weights[0] + self.weights[1] * log_odds(confidence) + self.weights[2] * np.log2(bits)
        return 1 / (1 + np.exp(-at))


@dataclass(frozen=True)
class Confidence:
    """Calibrated confidence at each level, from ``n`` pictures of ``source``, about ``pixels`` each."""

    levels: tuple[str, ...]
    curves: tuple[Curve, ...]
    n: int
    pixels: float
    source: str

    def __call__(self, level: int, confidence: float, n_bytes: int, pixels: int) -> float:
        """How often an answer of this ``confidence`` at ``level`` (its index), after ``n_bytes``, is right."""
        return float(self.curves[level](confidence, 8 * n_bytes / pixels))

    def __str__(self) -> str:
        side = round(self.pixels**0.5)
        return f"calibrated on {self.n:,} pictures of {self.source}, {side}x{side}"


def log_odds(p: Any) -> np.ndarray:
    """log(p / (1 - p)), p kept within 1e-4 of 0 and 1."""
    p = np.clip(np.asarray(p, dtype=float), 1 - MOST_SURE, MOST_SURE)
    return np.log(p) - np.log1p(-p)


def fit(results: Results, classifier: str | None = None, pictures: Iterable[int] | None = None) -> Confidence:
    """Curves from measured results: ``pictures`` (all, if None) at every point of the file that was decodable.

    Raises DataError for results without confidences, or with too few right or wrong answers to say anything.
    """
    rows, levels = points(results, classifier, pictures), results.levels
    curves = tuple(_curve(rows, level) for level in levels)
    pixels = float((8 * rows["bytes"] / rows["bpp"]).median())
    return Confidence(levels, curves, rows["picture"].nunique(), pixels, results.meta["pictures"]["name"])


def points(results: Results, classifier: str | None = None, pictures: Iterable[int] | None = None) -> pd.DataFrame:
    """The decodable rows of cut files, in order of picture and bytes; those of some ``pictures`` if named."""
    if missing := [level for level in results.levels if f"confidence_{level}" not in results.rows]:
        raise DataError(f"These results have no confidence_{missing[0]}: measure them again with this version.")
    rows = results.of(classifier)
    rows = rows[rows["kind"].isin(("budget", "level", "whole")) & rows["decodable"] & (rows["bytes"] > 0)]
    if pictures is not None:
        rows = rows[rows["picture"].isin(list(pictures))]
    return rows.sort_values(["picture", "bytes"], kind="stable")


def _curve(rows: pd.DataFrame, level: str) -> Curve:
    from sklearn.linear_model import LogisticRegression

    right = rows[f"right_{level}"].to_numpy(dtype=bool)
    if min(right.sum(), (~right).sum()) < LEAST_RIGHT:
        raise DataError(
            f"{right.sum()} right and {(~right).sum()} wrong answers at level {level} calibrate nothing: "
            f"at least {LEAST_RIGHT} of each are needed, so give more pictures."
        )
    features = np.stack([log_odds(rows[f"confidence_{level}"]), np.log2(rows["bpp"].to_numpy(float))], axis=1)
    fitted = LogisticRegression(C=1e3, max_iter=1000).fit(features, right)
    bpp = rows["bpp"]
    at_even, of_odds, of_bits = (float(fitted.intercept_[0]), *map(float, fitted.coef_[0]))
    return Curve((at_even, of_odds, of_bits), (float(bpp.min()), float(bpp.max())))


def shipped_confidence(codec: Any, classifier: Any, hierarchy: Hierarchy, pixels: int) -> Confidence | None:
    """What ships for this codec, classifier and hierarchy, from the pictures nearest in size; None if nothing does.

    Results of other weights, another classifier or another tree say nothing here, so they are not used.
    """
    fingerprint = getattr(codec, "fingerprint", b"")
    if not isinstance(fingerprint, bytes) or not fingerprint:
        return None
    found = _shipped(fingerprint.hex(), str(classifier.name), hierarchy.name, tuple(hierarchy.K))
    return min(found, key=lambda each: abs(math.log(each.pixels / pixels)), default=None)


@lru_cache(maxsize=8)
def _shipped(fingerprint: str, classifier: str, tree: str, K: tuple[int, ...]) -> tuple[Confidence, ...]:
    return tuple(fit(results, classifier) for results in shipped_results(fingerprint, classifier, tree, K))


def shipped_results(fingerprint: str, classifier: str, tree: str, K: tuple[int, ...]) -> list[Results]:
    """The results with confidences in ``data/confidence`` that were made with these; see its README."""
    from .results import Results

    try:
        folder = shipped("confidence")
    except DataError:
        return []
    each = [Results.load(path) for path in sorted(Path(folder).glob("*.parquet"))]
    return [r for r in each if _about(r) == (fingerprint, tree, K) and classifier in r.classifiers]


def _about(results: Results) -> tuple[str, str, tuple[int, ...]]:
    codec, tree = results.meta["codec"], results.meta["hierarchy"]
    return str(codec.get("fingerprint", "")), str(tree["name"]), tuple(tree["K"])


def measure(folder: Path, codec: str = "tiny", classifier: str = "tiny", pack: str = "tiny-imagenet-val") -> Path:
    """Make ``folder/<codec>.parquet``: every second picture of a pack. Needs HIERLIB_DATA; ten minutes on two cores."""
    from .. import classifiers, hierarchy
    from ..codec.weights import load
    from ..images.packs import open_pack
    from .results import Results
    from .sweep import evaluate

    judge = classifiers.load(classifier)
    tree = hierarchy.load("tiny-clip").restrict(judge.wnids)
    pictures = open_pack(pack)
    chosen = pictures.subset(range(0, len(pictures), 2))
    resume = folder / f"{codec}.partial.jsonl"
    found = evaluate(load(codec), chosen, tree, [judge], BUDGETS, wup=False, level_ends=False, resume=resume)
    path = Results(_slim(found.rows), found.meta).save(folder / f"{codec}.parquet")
    resume.unlink()
    return path


def _slim(rows: pd.DataFrame) -> pd.DataFrame:
    """Only what calibration asks for, confidences with four digits: a third of the size."""
    kept = rows[[name for name in rows if not any(part in name for part in NOT_KEPT)]].copy()
    for name in [name for name in kept if name.startswith("confidence_")]:
        kept[name] = kept[name].round(4)
    return kept


def main() -> int:
    """Measure, unless what ships is of these weights; returns the exit code."""
    from .. import classifiers, hierarchy
    from ..codec.weights import load

    judge = classifiers.load("tiny")
    tree = hierarchy.load("tiny-clip").restrict(judge.wnids)
    try:
        if shipped_confidence(load("tiny"), judge, tree, 64 * 64) is not None:
            print("data/confidence is of these weights: nothing to do.")
            return 0
        print(measure(PACKAGE.parent / "data" / "confidence"))
    except HierlibError as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
