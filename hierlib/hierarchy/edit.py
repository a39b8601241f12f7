"""Small changes to a tree: rename a group, move classes, merge groups. Each returns a new, valid Hierarchy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..errors import HierarchyError
from .tree import Hierarchy


def rename(hierarchy: Hierarchy, level: int | str, group: int | str, name: str) -> Hierarchy:
    """Call a group of one level by another name. Raises HierarchyError if the group is unknown or the name is taken."""
    index = hierarchy.level(level)
    names = list(hierarchy.group_names[index])
    names[find(hierarchy, index, group)] = name
    return replace(hierarchy, group_names=_with(hierarchy.group_names, index, tuple(names)))


def move(hierarchy: Hierarchy, level: int | str, wnids: Iterable[str], group: int | str) -> Hierarchy:
    """Put classes into another group of one level. A group that loses its last class goes.

    Raises HierarchyError for a class or group that is not there.
    """
    index = hierarchy.level(level)
    rows_of = {wnid: row for row, wnid in enumerate(hierarchy.wnids)}
    ids = hierarchy.groups[index].copy()
    for wnid in wnids:
        if wnid not in rows_of:
            raise HierarchyError(f"{wnid!r} is not in {hierarchy.name}: its keys look like {hierarchy.wnids[0]!r}.")
        ids[rows_of[wnid]] = find(hierarchy, index, group)
    return _closed(hierarchy, index, ids, hierarchy.group_names[index])


def merge(hierarchy: Hierarchy, level: int | str, groups: Sequence[int | str], name: str) -> Hierarchy:
    """Make one group, called ``name``, of several of a level. Raises HierarchyError for an unknown one."""
    index = hierarchy.level(level)
    together = sorted({find(hierarchy, index, group) for group in groups})
    if not together:
        raise HierarchyError(f"no groups of level {hierarchy.levels[index]!r} to merge: name one at least.")
    names = list(hierarchy.group_names[index])
    names[together[0]] = name
    ids = np.where(np.isin(hierarchy.groups[index], together), together[0], hierarchy.groups[index])
    return _closed(hierarchy, index, ids, names)


def find(hierarchy: Hierarchy, level: int | str, group: int | str) -> int:
    """Id of a group given by id or name. Raises HierarchyError for one that is not there, with the near ones."""
    index = hierarchy.level(level)
    names = hierarchy.group_names[index]
    if isinstance(group, str) and group in names:
        return names.index(group)
    if isinstance(group, (int, np.integer)) and 0 <= group < len(names):
        return int(group)
    import difflib

    near = ", ".join(difflib.get_close_matches(str(group), names, 3, 0.4) or names[:3])
    raise HierarchyError(
        f"level {hierarchy.levels[index]!r} of {hierarchy.name} has {len(names)} groups and none is {group!r}: "
        f"for example {near}."
    )


def _closed(hierarchy: Hierarchy, index: int, ids: np.ndarray, names: Sequence[str]) -> Hierarchy:
    """With one level's ids replaced, renumbered without gaps."""
    kept, closed = np.unique(ids, return_inverse=True)
    groups = hierarchy.groups.copy()
    groups[index] = closed
    return replace(
        hierarchy, groups=groups, group_names=_with(hierarchy.group_names, index, tuple(names[k] for k in kept))
    )


def _with(levels: tuple[tuple[str, ...], ...], index: int, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return (*levels[:index], names, *levels[index + 1 :])
