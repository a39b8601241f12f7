"""Reads a hierarchy from CSV text. Every complaint names the row, as a spreadsheet numbers it (the header is row 1)."""

from __future__ import annotations

import csv
import io

import numpy as np

from ..errors import HierarchyError
from .keys import check_keys
from .tree import Hierarchy


def parse(text: str, name: str, source: str) -> Hierarchy:
    """Build a Hierarchy from CSV text with columns ``wnid,name,<level>,<level>_name,...`` coarse to fine.

    source: what messages call the table. Raises HierarchyError for missing columns, a missing, repeated or unknown key,
    a class in two groups, a cell that is no group id, a group with two names or none, and an empty group.
    """
    rows = [(number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), 1) if any(map(str.strip, row))]
    if len(rows) < 2:
        raise HierarchyError(f"{source} holds no classes: expected a header and one row per class.")
    levels = _levels([cell.strip() for cell in rows[0][1]], source)
    table = _Table(source, levels)
    for number, row in rows[1:]:
        table.add(number, [cell.strip() for cell in row])
    return table.hierarchy(name)


def _levels(header: list[str], source: str) -> tuple[str, ...]:
    levels = tuple(header[2::2])
    expected = ["wnid", "name", *(column for level in levels for column in (level, f"{level}_name"))]
    if header != expected or not levels or "" in levels or len(set(levels)) < len(levels):
        raise HierarchyError(
            f"{source}, row 1: found the columns {','.join(header)}; "
            "expected wnid,name and then, for each level from coarse to fine, <level>,<level>_name."
        )
    return levels


class _Table:
    """What has been read so far, and in which row, so that a contradiction can name both of its rows."""

    def __init__(self, source: str, levels: tuple[str, ...]) -> None:
        self.source, self.levels = source, levels
        self.rows: dict[str, tuple[int, str, list[int]]] = {}  # wnid -> row number, name, ids
        self.names: list[dict[int, tuple[str, int]]] = [{} for _ in levels]  # id -> name, row number

    def fail(self, number: int, message: str) -> HierarchyError:
        return HierarchyError(f"{self.source}, row {number}: {message}")

    def add(self, number: int, cells: list[str]) -> None:
        width = 2 + 2 * len(self.levels)
        if len(cells) != width:
            raise self.fail(
                number, f"found {len(cells)} cells, the header has {width}: quote a name that holds a comma."
            )
        wnid, name, *pairs = cells
        if not wnid or not name:
            raise self.fail(number, "a class needs a wnid and a name, one of the two is blank.")
        ids = [self._group(number, wnid, index, *pairs[2 * index : 2 * index + 2]) for index in range(len(self.levels))]
        if wnid in self.rows:
            before, _, same = self.rows[wnid]
            apart = [level for level, a, b in zip(self.levels, same, ids) if a != b]
            where = f" and in two groups of level {apart[0]!r}" if apart else ""
            raise self.fail(number, f"class {wnid} is in row {before} already{where}: keep one row per class.")
        self.rows[wnid] = (number, name, ids)

    def _group(self, number: int, wnid: str, index: int, cell: str, label: str) -> int:
        level = self.levels[index]
        if not cell.isascii() or not cell.isdigit():
            raise self.fail(
                number, f"class {wnid} has {cell!r} as its group of level {level!r}: expected one whole number from 0."
            )
        group = int(cell)
        if not label:
            raise self.fail(number, f"group {group} of level {level!r} has no name: fill {level}_name.")
        known, before = self.names[index].setdefault(group, (label, number))
        if known != label:
            raise self.fail(
                number,
                f"group {group} of level {level!r} is called {label!r} here and {known!r} in row {before}: choose one.",
            )
        return group

    def hierarchy(self, name: str) -> Hierarchy:
        check_keys({wnid: number for wnid, (number, *_) in self.rows.items()}, self.source)
        group_names = []
        for level, names in zip(self.levels, self.names):
            missing = next((group for group in range(len(names)) if group not in names), None)
            if missing is not None:
                largest = max(names)
                raise self.fail(
                    names[largest][1],
                    f"group {missing} of level {level!r} is empty, but here is a group {largest}: "
                    "number the groups from 0 without gaps.",
                )
            owner: dict[str, int] = {}
            for group in sorted(names):
                label, number = names[group]
                if owner.setdefault(label, group) != group:
                    raise self.fail(
                        number,
                        f"groups {owner[label]} and {group} of level {level!r} are both called {label!r}: rename one.",
                    )
            group_names.append(tuple(names[group][0] for group in range(len(names))))
        groups = np.array([ids for _, _, ids in self.rows.values()], dtype=np.int64).T
        class_names = tuple(label for _, label, _ in self.rows.values())
        return Hierarchy(name, tuple(self.rows), class_names, self.levels, groups, tuple(group_names))
