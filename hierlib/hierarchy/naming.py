"""Names for groups that a person understands: the few words that fit a group best.

A word is what WordNet calls a synset (``data/classes/plain-words.csv`` puts everyday words for its jargon, and strikes
out what says nothing, such as *whole*); synsets of one word are one. It says of a group: I cover this share of you
(recall), and this share of what I cover is yours (precision). The name is the word of the highest F1, of equals the
deepest; or two or three words where that fits much better: *food*, *invertebrate or reptile*. Groups that would get the
same name are told apart by their kinds or members: *dog: hunting dog*.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..errors import HierarchyError
from ..files import shipped
from .wordnet import WordNet, shipped_wordnet

GAIN = 0.1  # of F1, for which another word is worth its length
SHARE = 0.2  # of a group (and two classes) that a word must cover: else a name lists oddities
WEAK = 0.4  # below this F1 words alone would mislead, and typical members stand with them
CANDIDATES = 24  # single words, of which phrases are made
MOST = (0.5, 1 / 3)  # recall and precision of a name, where one can be had: it covers most members, and not much else
FINER = (0.1, 0.05)  # SHARE and GAIN where these find nothing that fits


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
    wordnet = wordnet or shipped_wordnet()
    groups = np.asarray(groups)
    sizes = np.bincount(groups)
    if not sizes.all():
        empty = int(np.argmin(sizes))
        raise HierarchyError(f"group {empty} of {len(sizes)} is empty: number the groups from 0 without gaps.")
    words = _words(tuple(wnids), tuple(names), wordnet)
    inside = [_bits(np.flatnonzero(groups == group)) for group in range(len(sizes))]
    titles, said = [], []
    for rows, size in zip(inside, sizes.tolist()):
        phrase = _fitting(words, rows)
        said.append(phrase.words)
        if size == 1 or (phrase.F1 < WEAK and size <= 3):
            titles.append(listing(names[row] for row in _rows(rows)))
        elif phrase.F1 < WEAK:
            titles.append(f"{_title(phrase.words)}: {_typical(wordnet, wnids, names, phrase.covers & rows or rows)}")
        else:
            titles.append(_title(phrase.words))
    for twice in [title for title in dict.fromkeys(titles) if titles.count(title) > 1]:
        alike = [group for group, title in enumerate(titles) if title == twice and sizes[group] > 1]
        details = [_kinds(words, said[g], inside[g], sum(inside[o] for o in alike if o != g)) for g in alike]
        for group, detail in zip(alike, details):
            if not detail or details.count(detail) > 1:
                detail = _typical(wordnet, wnids, names, inside[group])
            titles[group] = f"{twice}: {detail}"
    return tuple(t if titles.index(t) == g else f"{t} ({g})" for g, t in enumerate(titles))


def synset_names(wnids: Sequence[str], names: Sequence[str], cut: Sequence[str], wordnet: WordNet) -> tuple[str, ...]:
    """Names of groups that are synsets themselves, in the order in which the classes meet them.

    cut: (N,) synset of each class. A synset that is a class has the class's name; one whose first lemma is taken gets
    another lemma, or a typical member beside it.
    """
    own, titles = dict(zip(wnids, names)), []
    for synset in dict.fromkeys(cut):
        rows = _bits(row for row, other in enumerate(cut) if other == synset)
        lemmas = [own[synset]] if synset in own else _lemmas(wordnet, synset)
        members = f"{lemmas[0]}: {_typical(wordnet, wnids, names, rows)}"
        titles.append(next(t for t in (*lemmas, members, f"{lemmas[0]} ({synset})") if t not in titles))
    return tuple(titles)


def listing(words: Iterable[str]) -> str:
    """``a, b or c``."""
    words = list(dict.fromkeys(words))
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _title(words: Iterable[str]) -> str:
    """The words of a phrase as a list; those that are lists themselves ("bread or cake") are taken apart first."""
    return listing(part for word in words for part in ([word] if "(" in word else re.split(", | or ", word)))


class _Word(NamedTuple):
    label: str
    covers: int  # set of classes, a bit each


class _Phrase(NamedTuple):
    words: list[str]
    F1: float
    covers: int


@lru_cache(maxsize=1)
def _plain() -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(shipped("classes", "plain-words.csv").read_text(encoding="utf-8")))
    return {row["synset"]: row["plain"] for row in rows}


@lru_cache(maxsize=8)
def _words(wnids: tuple[str, ...], names: tuple[str, ...], wordnet: WordNet) -> tuple[_Word, ...]:
    """Every word that some of the classes come under, the deepest synsets first."""
    below: dict[str, list[int]] = {}
    for row, wnid in enumerate(wnids):
        for ancestor in wordnet.distances(wnid):
            below.setdefault(ancestor, []).append(row)
    covers: dict[str, int] = {}
    for wnid in sorted(below, key=lambda wnid: (-wordnet.max_depth(wnid), wnid)):
        synset = wordnet.synset(wnid)
        lone = names[below[wnid][0]] if len(below[wnid]) == 1 else None
        label = _plain().get(synset.name, lone or synset.lemmas[0].replace("_", " "))
        covers[label] = covers.get(label, 0) | _bits(below[wnid])
    nothing = covers.pop("", 0)
    return tuple(_Word(*pair) for pair in covers.items()) or (_Word("thing", nothing),)


def _fitting(words: Sequence[_Word], rows: int) -> _Phrase:
    """The phrase for a group: one that covers most of it, if that fits; else one that fits a part; else any word."""
    for recall, precision in (MOST, (0.0, 0.0)):
        for share, gain in ((SHARE, GAIN), FINER):
            phrase = _phrase(words, rows, share, gain, recall, precision)
            if phrase.F1 >= WEAK:
                return phrase
    if not phrase.words:  # no two classes share a word: the one that the most come under
        word = max(words, key=lambda word: ((word.covers & rows).bit_count(), -word.covers.bit_count()))
        phrase = _Phrase([word.label], 0.0, word.covers & rows)
    return phrase


def _kinds(words: Sequence[_Word], said: Sequence[str], rows: int, others: int) -> str:
    """The kinds of the words ``said`` that are in ``rows`` more often than in ``others``; empty if none is, clearly.

    Of one or two words that of the largest difference of shares, less ``GAIN`` for a second.
    """
    above = 0
    for word in words:
        above |= word.covers if word.label in said else 0
    below = [word for word in words if word.covers | above == above != word.covers and word.label not in said]
    size, rest = rows.bit_count(), max(1, others.bit_count())

    def apart(covers: int) -> float:
        return (covers & rows).bit_count() / size - (covers & others).bit_count() / rest

    single = sorted(below, key=lambda word: -apart(word.covers))[:CANDIDATES]
    chosen = [([one.label], apart(one.covers)) for one in single]
    chosen += [([a.label, b.label], apart(a.covers | b.covers) - GAIN) for a, b in combinations(single, 2)]
    labels, difference = max(chosen, key=lambda item: item[1], default=([""], 0.0))
    return _title(labels) if difference >= 2 * GAIN else ""


def _phrase(
    words: Sequence[_Word],
    rows: int,
    share: float = SHARE,
    gain: float = GAIN,
    recall: float = 0.0,
    precision: float = 0.0,
) -> _Phrase:
    """One to three words that fit ``rows`` best, of the classes ``among``; F1 less ``gain`` a further word decides.

    share: of the group that each word must cover. recall, precision: least that the phrase must have.
    """
    size = rows.bit_count()
    least = max(min(2, size), share * size)
    fit = [
        (_F1(word.covers, rows), -word.covers.bit_count(), word)
        for word in words
        if (word.covers & rows).bit_count() >= least
    ]
    fit.sort(key=lambda item: item[:2], reverse=True)  # of equals the smaller one, then the deeper
    best, score = _Phrase([], 0.0, 0), 0.0
    for count in (1, 2, 3):
        for chosen in combinations([word for *_, word in fit[:CANDIDATES]], count):
            union = 0
            for word in chosen:
                union |= word.covers
            F1 = _F1(union, rows)
            right = (union & rows).bit_count()
            enough = right >= recall * size and right >= precision * union.bit_count()
            if enough and F1 - gain * (count - 1) > score + 1e-9:
                score, best = F1 - gain * (count - 1), _Phrase([word.label for word in chosen], F1, union & rows)
    return best


def _F1(covers: int, rows: int) -> float:
    """2PR / (P + R) with P = c / covers, R = c / rows."""
    return 2 * (covers & rows).bit_count() / (covers.bit_count() + rows.bit_count())


def _bits(rows: Iterable[int]) -> int:
    return sum(1 << int(row) for row in rows)


def _rows(bits: int) -> list[int]:
    return [row for row in range(bits.bit_length()) if bits >> row & 1]


def _typical(wordnet: WordNet, wnids: Sequence[str], names: Sequence[str], bits: int, count: int = 2) -> str:
    """The members most similar to all others by Wu-Palmer, the first by row among equals."""
    members = _rows(bits)
    similarity = wordnet.wup_matrix([wnids[row] for row in members]).mean(1)
    return ", ".join(names[members[k]] for k in np.argsort(-similarity.round(9), kind="stable")[:count])


def _lemmas(wordnet: WordNet, wnid: str) -> list[str]:
    return [lemma.replace("_", " ") for lemma in wordnet.synset(wnid).lemmas]
