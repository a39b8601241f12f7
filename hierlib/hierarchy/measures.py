"""How good a grouping is: Wu-Palmer inside and between groups (paper Table 1), balance, silhouette, and intervals.

=============  =====================================================================================================
intra          mean Wu-Palmer over all pairs of different classes in one group; higher is more coherent (WUP_Intra)
inter          the same over all pairs in different groups; lower is better separated (WUP_Inter)
gap            intra - inter
entropy        entropy of the group sizes over log K: 1 for equal sizes, 0 for everything in one group
largest        share of the classes that the largest group holds
silhouette     mean silhouette of the classes in the space of the embeddings (cosine distance), in [-1, 1]
=============  =====================================================================================================

A mean over pairs weighs a group of 931 classes by its 432,915 pairs: read intra together with largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import HierarchyError
from .tree import Hierarchy

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measures:
    """Figures of one level. silhouette is None without embeddings; intra is NaN where every class is its own group.

    intervals: 95 %, by figure: 1.96 bootstrap standard errors (over classes) to both sides, within the figure's range;
    percentiles would not do, since resampling always makes sizes more uneven. Empty if none was asked for.
    """

    K: int
    intra: float
    inter: float
    entropy: float
    largest: float
    silhouette: float | None
    intervals: Mapping[str, Interval]

    @property
    def gap(self) -> float:
        """intra - inter."""
        return self.intra - self.inter

    def as_dict(self) -> dict[str, object]:
        """Plain numbers rounded to six digits, None for what is not defined: ready for JSON and for a table."""
        figures = {name: getattr(self, name) for name in ("intra", "inter", "gap", "entropy", "largest", "silhouette")}
        rounded: dict[str, object] = {"K": self.K}
        for name, value in figures.items():
            rounded[name] = None if value is None or not np.isfinite(value) else round(float(value), 6)
        rounded["intervals"] = {name: [round(low, 6), round(high, 6)] for name, (low, high) in self.intervals.items()}
        return rounded


def measure(
    groups: np.ndarray, wup: np.ndarray, embeddings: np.ndarray | None = None, bootstrap: int = 0, seed: int = 0
) -> Measures:
    """Figures of one level.

    groups: (N,) ids 0..K-1. wup: (N, N) Wu-Palmer of the classes. embeddings: (N, D), for the silhouette.
    bootstrap: resamples of the classes for the intervals, 0 for none. Raises HierarchyError if N differs.
    """
    groups = np.asarray(groups)
    N = len(groups)
    if wup.shape != (N, N) or (embeddings is not None and len(embeddings) != N):
        raise HierarchyError(f"{N} classes, a similarity of shape {wup.shape}: use the matrix of the same classes.")
    similar = np.where(np.eye(N, dtype=bool), 0.0, wup)
    silhouettes = None if embeddings is None else _silhouettes(groups, embeddings)
    whole = _figures(np.ones((1, N)), groups, similar, silhouettes)
    intervals: dict[str, Interval] = {}
    if bootstrap:
        weights = np.random.default_rng(seed).multinomial(N, np.full(N, 1 / N), size=bootstrap).astype(float)
        for name, values in _figures(weights, groups, similar, silhouettes).items():
            values = values[np.isfinite(values)]
            if values.size:
                least, most = _range(name, int(groups.max()) + 1)
                margin, estimate = 1.96 * values.std(ddof=1), whole[name][0]
                intervals[name] = (float(max(least, estimate - margin)), float(min(most, estimate + margin)))
    one = {name: float(values[0]) for name, values in whole.items()}
    silhouette = one.get("silhouette")
    return Measures(
        int(groups.max()) + 1, one["intra"], one["inter"], one["entropy"], one["largest"], silhouette, intervals
    )


def measure_levels(
    hierarchy: Hierarchy, wup: np.ndarray, embeddings: np.ndarray | None = None, bootstrap: int = 0, seed: int = 0
) -> dict[str, Measures]:
    """:func:`measure` for every level that has more than one class in some group, by level name."""
    return {
        level: measure(ids, wup, embeddings, bootstrap, seed)
        for level, ids, K in zip(hierarchy.levels, hierarchy.groups, hierarchy.K)
        if len(hierarchy.wnids) > K
    }


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Adjusted Rand index of two groupings of the same classes: 1 for equal partitions, 0 on average for random."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(a, b))


@dataclass(frozen=True)
class Confusion:
    """What a classifier's mistakes look like on one level.

    counts:    (K, K) int64, rows true groups, columns answered groups
    accuracy:  share of answers in the right group
    forgiven:  share of the wrong classes that are still in the right group
    chance:    the same share if each wrong answer were drawn evenly from all other classes
    """

    counts: np.ndarray
    accuracy: float
    forgiven: float
    chance: float


def confusion(hierarchy: Hierarchy, level: int | str, truth: np.ndarray, answers: np.ndarray) -> Confusion:
    """Compare true and answered classes, both (n,) rows of ``hierarchy.wnids``, on one level.

    forgiven and chance are NaN where no answer is wrong. Raises HierarchyError if there are no answers or their number
    differs from the truth's.
    """
    truth, answers = np.asarray(truth), np.asarray(answers)
    if truth.shape != answers.shape or not truth.size:
        raise HierarchyError(f"{truth.size} true classes and {answers.size} answers: give one answer per picture.")
    index = hierarchy.level(level)
    K, sizes = hierarchy.K[index], hierarchy.sizes(index)
    right, given = hierarchy.labels(truth, index), hierarchy.labels(answers, index)
    counts = np.zeros((K, K), dtype=np.int64)
    np.add.at(counts, (right, given), 1)
    wrong = truth != answers
    if not wrong.any():
        return Confusion(counts, float((right == given).mean()), float("nan"), float("nan"))
    chance = (sizes[right[wrong]] - 1) / (len(hierarchy.wnids) - 1)
    return Confusion(
        counts, float((right == given).mean()), float((right == given)[wrong].mean()), float(chance.mean())
    )


def _range(figure: str, K: int) -> Interval:
    """What values a figure of K groups can take."""
    return {"gap": (-1.0, 1.0), "silhouette": (-1.0, 1.0), "largest": (1 / K, 1.0)}.get(figure, (0.0, 1.0))


def _silhouettes(groups: np.ndarray, embeddings: np.ndarray) -> np.ndarray | None:
    """(N,) silhouette of every class, or None where it is not defined (one group, or every class its own)."""
    from sklearn.metrics import silhouette_samples

    if not 1 < groups.max() + 1 < len(groups):
        return None
    return silhouette_samples(np.asarray(embeddings, dtype=np.float64), groups, metric="cosine")


def _figures(
    weights: np.ndarray, groups: np.ndarray, similar: np.ndarray, silhouettes: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Figures of B weighted samples: weights (B, N) counts. A class drawn twice makes no pair with itself."""
    member = np.eye(int(groups.max()) + 1)[groups]  # (N, K)
    same = member @ member.T
    np.fill_diagonal(same, 0)
    totals = weights.sum(1)
    pairs_all = totals**2 - (weights**2).sum(1)
    pairs_in = ((weights @ same) * weights).sum(1)
    sum_all = ((weights @ similar) * weights).sum(1)
    sum_in = ((weights @ (similar * same)) * weights).sum(1)
    share = weights @ member / totals[:, None]  # (B, K)
    K = member.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        intra, inter = sum_in / pairs_in, (sum_all - sum_in) / (pairs_all - pairs_in)
        surprise = np.where(share > 0, -share * np.log(share), 0).sum(1)
    figures = {
        "intra": intra,
        "inter": inter,
        "gap": intra - inter,
        "entropy": surprise / np.log(K) if K > 1 else np.zeros(len(weights)),
        "largest": share.max(1),
    }
    if silhouettes is not None:
        figures["silhouette"] = weights @ silhouettes / totals
    return figures
