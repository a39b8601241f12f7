"""Names for groups that a person understands: the WordNet synset that fits the group best.

A synset says of a group: I cover this share of you (recall), and this share of what I cover is yours (precision). The
name is the synset of the highest F1, the deeper one of two equals; no two groups of a level get the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import HierarchyError
from .wordnet import WordNet, shipped_wordnet

WEAK = 0.5  # below this F1 a synset alone would mislead, and two typical members are named with it


def unique_class_names(wnids: Sequence[str], names: Sequence[str], wordnet: WordNet | None = None) -> tuple[str, ...]:
    """Class names with those that occur twice told apart by another lemma of their synset, or else by their key."""
    taken = {name for name in names if list(names).count(name) == 1}
    unique = []
    for wnid, name in zip(wnids, names):
        if name in taken and name not in unique:
            unique.append(name)
            continue
        lemmas = [lemma for lemma in _lemmas(wordnet or shipped_wordnet(), wnid) if lemma != name]
        choices = [name, *(f"{name} ({lemma})" for lemma in lemmas), f"{name} ({wnid})"]
        unique.append(next(choice for choice in choices[1:] if choice not in unique))
    return tuple(unique)


def group_names(
    wnids: Sequence[str], names: Sequence[str], groups: np.ndarray, wordnet: WordNet | None = None
) -> tuple[str, ...]:
    """One unique name per group of one level.

    wnids, names: the N classes. groups: (N,) ids 0..K-1. Raises HierarchyError for a class WordNet does not know, and
    for groups that are not numbered without gaps.
    """
    from scipy.optimize import linear_sum_assignment

    wordnet = wordnet or shipped_wordnet()
    groups = np.asarray(groups)
    K = int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=K)
    if not sizes.all():
        raise HierarchyError(f"group {int(np.argmin(sizes))} of {K} is empty: number the groups from 0 without gaps.")
    synsets = sorted({ancestor for wnid in wnids for ancestor in wordnet.distances(wnid)})
    if len(synsets) < K:
        raise HierarchyError(f"{K} groups of classes that lie under {len(synsets)} synsets cannot all be named apart.")
    F1, depth = _fit(wnids, groups, synsets, sizes, wordnet)
    # One assignment for all groups: the groups that want the same synset most settle it by what they would lose.
    _, chosen = linear_sum_assignment(F1 + 1e-6 * depth, maximize=True)
    picked: list[str] = []
    for group, column in enumerate(chosen):
        rows = np.flatnonzero(groups == group)
        picked.append(_name(wordnet, synsets[column], F1[group, column], wnids, names, rows, picked))
    return tuple(picked)


def _fit(
    wnids: Sequence[str], groups: np.ndarray, synsets: list[str], sizes: np.ndarray, wordnet: WordNet
) -> tuple[np.ndarray, np.ndarray]:
    """(K, S) F1 of every synset for every group, and (S,) depth of each synset in [0, 1]."""
    column = {wnid: k for k, wnid in enumerate(synsets)}
    covered = np.zeros((len(sizes), len(synsets)))
    for wnid, group in zip(wnids, groups):
        covered[group, [column[ancestor] for ancestor in wordnet.distances(wnid)]] += 1
    F1 = 2 * covered / (covered.sum(0) + sizes[:, None])  # 2PR / (P + R) with P = c / synset, R = c / group
    return F1, np.array([wordnet.max_depth(wnid) for wnid in synsets]) / 20


def _name(
    wordnet: WordNet,
    synset: str,
    F1: float,
    wnids: Sequence[str],
    names: Sequence[str],
    rows: np.ndarray,
    taken: list[str],
) -> str:
    if len(rows) == 1 and names[rows[0]] not in taken:
        return names[rows[0]]
    lemmas = _lemmas(wordnet, synset)
    members = ", ".join(names[row] for row in _typical(wordnet, wnids, rows))
    choices = lemmas if F1 >= WEAK else []
    for choice in [*choices, f"{lemmas[0]}: {members}", f"{lemmas[0]} ({synset}): {members}"]:
        if choice not in taken:
            return choice
    raise HierarchyError(f"two groups would both be called {choice!r}: two of their classes share key and name.")


def _typical(wordnet: WordNet, wnids: Sequence[str], rows: np.ndarray, count: int = 2) -> list[int]:
    """The members most similar to all others by Wu-Palmer, the first by row among equals."""
    similarity = wordnet.wup_matrix([wnids[row] for row in rows]).mean(1)
    return [int(rows[k]) for k in np.argsort(-similarity.round(9), kind="stable")[:count]]


def _lemmas(wordnet: WordNet, wnid: str) -> list[str]:
    return [lemma.replace("_", " ") for lemma in wordnet.synset(wnid).lemmas]
