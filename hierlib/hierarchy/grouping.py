"""Classes into groups, for any number of levels: k-means as in the paper, and what the paper did not try.

All functions take (N, D) embeddings, project them to the unit sphere in float64, and return group ids numbered in the
order in which the classes meet them, so that equal partitions are equal arrays. What is random takes a ``seed``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ..errors import HierarchyError
from .wordnet import WordNet, shipped_wordnet

Method = Literal["kmeans", "balanced", "ward"]


def unit(embeddings: np.ndarray) -> np.ndarray:
    """(N, D) float64 rows of length 1. Raises HierarchyError for a row that is zero or not finite, naming it."""
    embeddings = np.asarray(embeddings, dtype=np.float64)
    if embeddings.ndim != 2:
        raise HierarchyError(f"embeddings of shape {embeddings.shape}: expected one row of numbers per class, (N, D).")
    lengths = np.linalg.norm(embeddings, axis=1)
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if wrong.size:
        raise HierarchyError(f"row {wrong[0]} of the embeddings is zero or not finite: embed that class again.")
    return embeddings / lengths[:, None]


def in_order(ids: np.ndarray) -> np.ndarray:
    """The same partition with groups numbered 0, 1, ... by their first member."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.ravel()].astype(np.int64)


def kmeans(embeddings: np.ndarray, K: int, seed: int = 0, n_init: int = 10) -> np.ndarray:
    """(N,) ids by k-means on unit vectors, best of ``n_init`` starts (paper Sec. 3; it gives one seed).

    Raises HierarchyError if K is not in 1..N.
    """
    return kmeans_runs(embeddings, K, [seed], n_init)[0]


def kmeans_runs(embeddings: np.ndarray, K: int, seeds: Sequence[int], n_init: int = 10) -> np.ndarray:
    """(n, N) ids of :func:`kmeans`, one row per seed; the seeds share the cores of the machine."""
    from concurrent.futures import ThreadPoolExecutor

    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    points = unit(embeddings)
    _check(K, len(points))

    def one(seed: int) -> np.ndarray:
        return in_order(KMeans(K, n_init=n_init, random_state=seed).fit(points).labels_)

    # A run has a thousand points: more threads only wait, and could change the last digit of a sum. The outer limit is
    # for BLAS, which has one number for all threads; the inner one for OpenMP, which has one for each.
    workers = min(len(seeds), os.cpu_count() or 1)
    with threadpool_limits(1), ThreadPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
        return np.stack(list(pool.map(one, seeds)))


def balanced(embeddings: np.ndarray, K: int, seed: int = 0, rounds: int = 30) -> np.ndarray:
    """(N,) ids of K groups whose sizes differ by one at most.

    k-means, then rounds of: the cheapest assignment of classes to places (linear sum assignment), new centres; until
    nothing moves. Raises HierarchyError if K is not in 1..N.
    """
    from scipy.optimize import linear_sum_assignment

    points = unit(embeddings)
    _check(K, len(points))
    ids = kmeans(points, K, seed)
    floor, spare = divmod(len(points), K)
    places = np.repeat(np.arange(K), floor + (spare > 0))
    optional = np.concatenate([np.arange(floor + (spare > 0)) == floor] * K)
    fillers = np.where(optional, 0.0, 1e6)[None].repeat(
        len(places) - len(points), 0
    )  # leave only optional places empty
    for _ in range(rounds):
        centres = np.stack([points[ids == k].mean(0) for k in range(K)])
        cost = (
            ((points[:, None] - centres[None]) ** 2).sum(-1)
            if K <= 16
            else 2 - 2 * points @ centres.T + (centres**2).sum(1)
        )
        _, place = linear_sum_assignment(np.concatenate([cost[:, places], fillers]))
        before, ids = ids, places[place[: len(points)]]
        if (ids == before).all():
            break
    return in_order(ids)


def ward(embeddings: np.ndarray, K: int) -> np.ndarray:
    """(N,) ids by Ward's agglomeration on unit vectors: no seed, and cuts at different K are nested."""
    return cut(merges(embeddings), K)


def merges(embeddings: np.ndarray) -> np.ndarray:
    """(N-1, 4) Ward linkage in SciPy's format: the whole tree, from which :func:`cut` takes any K."""
    from scipy.cluster.hierarchy import linkage

    return linkage(unit(embeddings), "ward")


def cut(linkage: np.ndarray, K: int) -> np.ndarray:
    """(N,) ids of the K groups that are left before the last K-1 merges. Raises HierarchyError if K is not in 1..N.

    linkage: (N-1, 2 or more) in SciPy's format; row i merges its first two entries into group N + i.
    """
    N = len(linkage) + 1
    _check(K, N)
    ids = np.arange(N)
    for merge, (first, second) in enumerate(linkage[: N - K, :2]):
        ids[(ids == first) | (ids == second)] = N + merge
    return in_order(ids)


def by_similarity(similarity: np.ndarray, K: Sequence[int]) -> np.ndarray:
    """(L, N) ids of K groups each by average linkage of an (N, N) similarity with diagonal 1; nested, no seed."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    if len(similarity) == 1:
        return np.zeros((len(K), 1), dtype=np.int64)
    tree = linkage(squareform(1 - similarity, checks=False), "average")
    return np.array([cut(tree, k) for k in K], dtype=np.int64).reshape(len(K), len(similarity))


def group(
    embeddings: np.ndarray, K: Sequence[int], method: Method = "kmeans", nested: bool = False, seed: int = 0
) -> np.ndarray:
    """(L, N) ids for L levels of K groups each, coarse to fine; K = N makes each class its own group.

    method: ``kmeans`` (the paper's, each level by itself), ``balanced``, or ``ward`` (nested in any case).
    nested: split each group of a level into the next level's, a larger group into more of them.
    Raises HierarchyError if K does not grow from level to level or exceeds N.
    """
    points = unit(embeddings)
    K = [int(k) for k in K]
    if not K or sorted(set(K)) != K:
        raise HierarchyError(f"K = {K}: expected numbers of groups that grow from coarse to fine, such as 10 100 1000.")
    for k in K:
        _check(k, len(points))
    if method == "ward":
        tree = merges(points)
        return np.stack([np.arange(len(points)) if k == len(points) else cut(tree, k) for k in K])
    one = {"kmeans": kmeans, "balanced": balanced}[method]
    levels: list[np.ndarray] = []
    for k in K:
        if k == len(points):
            levels.append(np.arange(k))
        elif nested and levels:
            levels.append(_split(points, levels[-1], k, one, seed))
        else:
            levels.append(one(points, k, seed))
    return np.stack(levels)


def shares(sizes: np.ndarray, K: int) -> np.ndarray:
    """How many of K parts each group of ``sizes`` gets: in proportion, at least one, at most its size; sums to K."""
    parts = np.ones(len(sizes), dtype=np.int64)
    for _ in range(K - len(sizes)):  # one more to the group whose parts are largest on average
        parts[np.argmax(np.where(parts < sizes, sizes / parts, -1))] += 1
    return parts


def _split(points: np.ndarray, coarser: np.ndarray, K: int, one: Callable[..., np.ndarray], seed: int) -> np.ndarray:
    """(N,) ids of K groups, each inside one group of ``coarser``."""
    ids = np.empty_like(coarser)
    start = 0
    for group, parts in enumerate(shares(np.bincount(coarser), K)):
        rows = np.flatnonzero(coarser == group)
        ids[rows] = start + one(points[rows], int(parts), seed)
        start += int(parts)
    return in_order(ids)


def depth_cut(wnids: Sequence[str], depths: Sequence[int], wordnet: WordNet | None = None) -> np.ndarray:
    """(L, N) ids of the paper's WordNet depth cut, one level per depth (Sec. 3; the paper's K = 10 is depth 3)."""
    wordnet = wordnet or shipped_wordnet()
    return np.stack([in_order(np.array(wordnet.depth_cut(wnids, depth))) for depth in depths])


def nearest_depth(wnids: Sequence[str], K: int, wordnet: WordNet | None = None) -> int:
    """The depth whose cut has nearest to K groups, by ratio (none gives exactly 100); the shallower of two equals."""
    wordnet = wordnet or shipped_wordnet()
    deepest = max(wordnet.max_depth(wnid) for wnid in wnids)
    return min(range(deepest + 1), key=lambda depth: abs(np.log(len(set(wordnet.depth_cut(wnids, depth))) / K)))


def _check(K: int, N: int) -> None:
    if not 1 <= K <= N:
        raise HierarchyError(f"{K} groups of {N} classes: choose between 1 and {N} groups.")
