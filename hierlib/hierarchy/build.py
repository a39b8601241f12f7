"""From ids to a Hierarchy: group, name, done. One call for CLIP groups, one for WordNet's depth cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import HierarchyError
from . import grouping
from . import tree as trees
from .classes import ClassList
from .classes import parse as parse_classes
from .keys import are_wordnet, wordnet_of
from .naming import group_names, synset_names, unique_class_names
from .table import parse as parse_tree
from .tree import Hierarchy
from .wordnet import WordNet, shipped_wordnet

THREE = ("coarse", "intermediate", "fine")


def level_names(L: int) -> tuple[str, ...]:
    """coarse, intermediate, fine for three levels, the paper's; level1, level2, ... for any other number."""
    return THREE if L == 3 else tuple(f"level{index}" for index in range(1, L + 1))


def from_groups(
    name: str,
    listed: ClassList,
    groups: np.ndarray,
    levels: Sequence[str] | None = None,
    wordnet: WordNet | None = None,
) -> Hierarchy:
    """A hierarchy from (L, N) group ids, its groups named from WordNet; a level of N groups takes the class names."""
    groups = np.atleast_2d(groups)
    names = []
    for ids in groups:
        each_its_own = np.array_equal(ids, np.arange(len(listed.wnids)))
        names.append(listed.names if each_its_own else group_names(listed.wnids, listed.names, ids, wordnet))
    return Hierarchy(name, listed.wnids, listed.names, tuple(levels or level_names(len(groups))), groups, tuple(names))


def from_embeddings(
    name: str,
    listed: ClassList,
    embeddings: np.ndarray,
    K: Sequence[int],
    method: grouping.Method = "kmeans",
    nested: bool = False,
    seed: int = 0,
    wordnet: WordNet | None = None,
) -> Hierarchy:
    """A hierarchy of K groups per level from (N, D) class embeddings: see :func:`grouping.group`.

    Raises HierarchyError if the embeddings are not one row per class, or K does not fit.
    """
    if len(embeddings) != len(listed.wnids):
        raise HierarchyError(f"{len(embeddings)} embeddings for {len(listed.wnids)} classes: give one row per class.")
    return from_groups(name, listed, grouping.group(embeddings, K, method, nested, seed), wordnet=wordnet)


def from_depths(name: str, listed: ClassList, depths: Sequence[int], wordnet: WordNet | None = None) -> Hierarchy:
    """The paper's WordNet hierarchy: a level per depth, coarse to fine, and the classes themselves as the last.

    Its groups are synsets, and are called as WordNet calls these.
    """
    wordnet = wordnet or shipped_wordnet()
    groups, names = [np.arange(len(listed.wnids))], [listed.names]
    for depth in reversed(depths):
        cut = wordnet.depth_cut(listed.wnids, depth)
        groups.insert(0, grouping.in_order(np.array(cut)))
        names.insert(0, synset_names(listed.wnids, listed.names, cut, wordnet))
    return Hierarchy(name, listed.wnids, listed.names, level_names(len(groups)), np.stack(groups), tuple(names))


def propose(name: str, listed: ClassList, wordnet: WordNet | None = None) -> Hierarchy:
    """Levels for a list of classes: CLIP's nested groups for ImageNet's, for others groups of near WordNet synsets.

    The latter are as many as the paper's in proportion: N^(1/3), N^(2/3), N. Levels that tell the classes no further
    apart than the one before are left out. Raises HierarchyError, naming the row, for a key that is no WordNet id.
    """
    if wordnet is None and not are_wordnet(listed.wnids):
        raise HierarchyError(
            f"{name}, row 2: {listed.wnids[0]!r} is no WordNet id, and levels are proposed for WordNet ids only "
            "(n02084071): use these, or give the levels too, as wnid,name,<level>,<level>_name."
        )
    wordnet = wordnet or wordnet_of(listed.wnids)
    own = ClassList(listed.wnids, unique_class_names(listed.wnids, listed.names, wordnet), listed.prompts)
    known, N = trees.load("imagenet-clip-nested"), len(own.wnids)
    levels: list[np.ndarray] = []
    if set(own.wnids) <= set(known.wnids):
        levels = _growing(known.restrict(own.wnids).groups[:-1], N)
    if not levels:
        K = [k for k in (round(N ** (1 / 3)), round(N ** (2 / 3))) if 1 < k < N]
        levels = _growing(grouping.by_similarity(wordnet.wup_matrix(own.wnids), K), N)
    return from_groups(name, own, np.stack([*levels, np.arange(N)]), wordnet=wordnet)


def _growing(levels: np.ndarray, N: int) -> list[np.ndarray]:
    """Those of (L, N) ids, coarse to fine, that have more groups than the one before, and fewer than N."""
    kept: list[np.ndarray] = []
    for ids in map(grouping.in_order, levels):
        if (kept[-1].max() if kept else 0) < ids.max() < N - 1:
            kept.append(ids)
    return kept


def read_own(text: str, name: str, source: str) -> Hierarchy:
    """A tree from CSV text; a mere class list (``wnid,name``) gets levels proposed. Raises as the two readers do."""
    header = [cell.strip() for cell in text.lstrip("\ufeff").partition("\n")[0].split(",")]
    if header[:2] == ["wnid", "name"] and header[2:] in ([], ["prompt"]):
        return propose(name, parse_classes(text.lstrip("\ufeff"), source))
    return parse_tree(text.lstrip("\ufeff"), name, source)


def open_own(name_or_path: str | Path) -> Hierarchy:
    """A shipped tree by name, or a CSV of a tree or a class list by path: see :func:`read_own`."""
    path = Path(name_or_path)
    if path.suffix.lower() != ".csv":
        return trees.load(name_or_path)
    try:
        return read_own(path.read_text(encoding="utf-8-sig"), path.stem, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise HierarchyError(f"{path} cannot be read as a UTF-8 table ({error}): check the path.") from None
