"""Are the keys of a table WordNet ids? A table has them in every row, or keys of its own in every row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..errors import HierarchyError
from .wordnet import WordNet, read, shipped_wordnet

SHAPE = re.compile(r"[a-z]\d{8}")


def are_wordnet(keys: Sequence[str]) -> bool:
    """True if most keys have the shape of a WordNet id, a letter and eight digits."""
    return 2 * sum(bool(SHAPE.fullmatch(key)) for key in keys) > len(keys)


def check_keys(rows: Mapping[str, int], source: str) -> None:
    """Raise HierarchyError, naming the row, if most keys are WordNet ids and one is not.

    rows: key -> row number. An id beyond the shipped extract is looked up in the WordNet of this machine.
    """
    if not are_wordnet(list(rows)):
        return
    unknown = [key for key in rows if key not in shipped_wordnet()]
    if not unknown:
        return
    whole = _whole() if all(map(SHAPE.fullmatch, unknown)) else None
    for key in unknown:
        where = f"{source}, row {rows[key]}: {key!r} is no WordNet id"
        if not SHAPE.fullmatch(key):
            raise HierarchyError(f"{where}: expected one like n02084071, as in the other rows.")
        if whole is None:
            raise HierarchyError(
                f"{where} of ImageNet-1K's classes or of what is above them, and no WordNet is installed to look it up "
                "in: correct it, or apt install wordnet-base, or nltk.download('wordnet')."
            )
        if key not in whole:
            raise HierarchyError(f"{where}: WordNet 3.0 has no noun at that offset; correct it, or leave the row out.")


def wordnet_of(keys: Sequence[str]) -> WordNet:
    """The shipped extract if it holds all keys, else the WordNet of this machine.

    Raises HierarchyError, naming the key and its place (from row 2, as in a file), where neither does.
    """
    check_keys({key: row for row, key in enumerate(keys, 2)}, "this class list")
    net = shipped_wordnet()
    return net if all(key in net for key in keys) else _whole() or net


@lru_cache(maxsize=1)
def _whole() -> WordNet | None:
    try:
        return read()
    except HierarchyError:
        return None
