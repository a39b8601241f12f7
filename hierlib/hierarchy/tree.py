"""Classes in levels, coarse to fine: a table that a person can read and edit (paper Sec. 3).

One row is one class, keyed by WordNet id (never by name: ImageNet has two missiles), one pair of columns is one level::

    wnid,name,coarse,coarse_name,fine,fine_name
    n02084071,dog,0,animal,0,dog
    n02121620,cat,0,animal,1,cat
    n02958343,car,1,vehicle,2,car

N: number of classes. L: number of levels. K_l: number of groups of level l, ids 0..K_l-1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HierarchyError
from ..files import write_bytes
from .locate import read_csv, shipped_names

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Which group each class belongs to, at each level.

    name:         what it is called in results
    wnids, names: N keys and N display names, in the order of the classifier's outputs
    levels:       L level names, coarse to fine
    groups:       (L, N) int64, group id of each class per level
    group_names:  per level, the K_l names of its groups

    Raises HierarchyError for a repeated key, an empty group, a group without a name or with another's of its level, and
    shapes that do not fit each other.
    """

    name: str
    wnids: tuple[str, ...]
    names: tuple[str, ...]
    levels: tuple[str, ...]
    groups: np.ndarray
    group_names: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        groups = np.array(self.groups, dtype=np.int64)
        object.__setattr__(self, "groups", groups)
        N, L = len(self.wnids), len(self.levels)
        if not N or not L:
            raise HierarchyError(f"{self.name} has {N} classes and {L} levels: a hierarchy needs one of each at least.")
        if len(self.names) != N or groups.shape != (L, N) or len(self.group_names) != L:
            raise HierarchyError(
                f"{self.name}: {N} keys, {len(self.names)} names, groups of shape {groups.shape} and group names for "
                f"{len(self.group_names)} levels do not fit {L} levels: expected groups of shape {(L, N)}."
            )
        first: dict[str, int] = {}
        for row, wnid in enumerate(self.wnids):
            if first.setdefault(wnid, row) != row:
                raise HierarchyError(f"{self.name}: class {wnid} is in rows {first[wnid]} and {row}; keep one of them.")
        for level, ids, names in zip(self.levels, groups, self.group_names):
            self._check_level(level, ids, names)

    def _check_level(self, level: str, ids: np.ndarray, names: Sequence[str]) -> None:
        wrong = np.flatnonzero((ids < 0) | (ids >= len(names)))
        if wrong.size:
            row = int(wrong[0])
            raise HierarchyError(
                f"{self.name}: class {self.wnids[row]} (row {row}) is in group {ids[row]} of level {level!r}, "
                f"which has {len(names)} named groups: ids run from 0 to {len(names) - 1}."
            )
        empty = np.flatnonzero(np.bincount(ids, minlength=len(names)) == 0)
        if empty.size:
            raise HierarchyError(
                f"{self.name}: group {empty[0]} ({names[empty[0]]!r}) of level {level!r} is empty: "
                "give it a class, or remove it and number the groups from 0 without gaps."
            )
        owner: dict[str, int] = {}
        for group, name in enumerate(names):
            if not name.strip():
                raise HierarchyError(f"{self.name}: group {group} of level {level!r} has no name: give it one.")
            if owner.setdefault(name, group) != group:
                raise HierarchyError(
                    f"{self.name}: groups {owner[name]} and {group} of level {level!r} are both called {name!r}: "
                    "rename one, or give their classes one id."
                )

    @property
    def K(self) -> tuple[int, ...]:
        """Number of groups per level, coarse to fine: (10, 100, 1000) in the paper."""
        return tuple(len(names) for names in self.group_names)

    @property
    def nested(self) -> bool:
        """True if every group of a level lies inside one group of the level before it (k-means per level does not)."""
        pairs = zip(self.groups[:-1], self.groups[1:])
        return all(len(set(zip(coarse.tolist(), fine.tolist()))) == fine.max() + 1 for coarse, fine in pairs)

    def level(self, level: int | str) -> int:
        """Index of a level given by name or index (negative counts from the fine end).

        Raises HierarchyError for a level that is not there.
        """
        if isinstance(level, str):
            if level not in self.levels:
                raise HierarchyError(f"{self.name} has no level {level!r}: its levels are {', '.join(self.levels)}.")
            return self.levels.index(level)
        if not -len(self.levels) <= level < len(self.levels):
            raise HierarchyError(f"{self.name} has {len(self.levels)} levels ({', '.join(self.levels)}): no {level}.")
        return int(level) % len(self.levels)

    def sizes(self, level: int | str) -> np.ndarray:
        """(K_level,) int64: classes per group."""
        index = self.level(level)
        return np.bincount(self.groups[index], minlength=self.K[index])

    def members(self, level: int | str, group: int) -> np.ndarray:
        """Rows of the classes of one group."""
        return np.flatnonzero(self.groups[self.level(level)] == group)

    @cached_property
    def _members(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Per level (K, largest) member rows, and True where that table is padding."""
        tables = []
        for index, K in enumerate(self.K):
            rows = np.zeros((K, int(self.sizes(index).max())), dtype=np.int64)
            padding = np.ones(rows.shape, dtype=bool)
            for group in range(K):
                members = self.members(index, group)
                rows[group, : len(members)], padding[group, : len(members)] = members, False
            tables.append((rows, padding))
        return tuple(tables)

    @cached_property
    def _tensors(self) -> dict[Any, tuple[Tensor, Tensor, Tensor]]:
        return {}  # per (level, device), see ``_on``

    def _on(self, index: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Member table, its padding and groups of a level on ``device``: copied once, not in every training step."""
        import torch

        key = (index, device)
        if key not in self._tensors:
            rows, padding, groups = (
                torch.as_tensor(each, device=device) for each in (*self._members[index], self.groups[index])
            )
            self._tensors[key] = (rows, padding, groups)
        return self._tensors[key]

    def groups_on(self, level: int | str, device: torch.device) -> Tensor:
        """``groups`` of a level, (N,) int64, on ``device``: copied there once."""
        return self._on(self.level(level), device)[2]

    def log_probabilities(self, logits: Tensor, level: int | str) -> Tensor:
        """log p(group) = log of the SUM of the members' softmax probabilities.

        logits: (..., N) floats, a classifier's outputs in the order of ``wnids``. Returns (..., K_level), float32 or
        wider, differentiable; each row is a distribution (its logsumexp is 0). Raises HierarchyError if the last
        axis is not N long.
        """
        import torch

        if logits.shape[-1] != len(self.wnids):
            raise HierarchyError(
                f"{self.name} has {len(self.wnids)} classes, the logits have shape {tuple(logits.shape)}: "
                "use a classifier of the same classes, or restrict one of the two to the other's."
            )
        rows_t, padding_t, _ = self._on(self.level(level), logits.device)
        wide = logits if logits.dtype == torch.float64 else logits.float()
        members = torch.log_softmax(wide, -1)[..., rows_t]  # (..., K, largest)
        return torch.logsumexp(members.masked_fill(padding_t, -torch.inf), -1)

    def labels(self, classes: Any, level: int | str) -> Any:
        """Group ids of class rows, in the shape and kind (numpy, torch, int) that the rows came in."""
        table = self.groups[self.level(level)]
        if hasattr(classes, "new_tensor"):
            return classes.new_tensor(table)[classes]
        picked = table[np.asarray(classes)]
        return int(picked) if picked.ndim == 0 else picked

    def majority(self, labels: Any, level: int | str) -> float:
        """Share in [0, 1] of the largest group among class rows: the accuracy of one constant answer."""
        counts = np.bincount(self.labels(np.asarray(labels).ravel(), level))
        return float(counts.max() / counts.sum())

    def breadcrumb(self, answer: Tensor | Sequence[Tensor]) -> list[tuple[str, float]]:
        """The likeliest group of each level and its probability, coarse to fine.

        answer: (N,) logits, or L tensors of (K_l,) log-probabilities. Levels answer for themselves: where two of them
        disagree, the trail shows it.
        """
        per_level = list(answer) if isinstance(answer, (list, tuple)) else None
        if per_level is None:
            per_level = [self.log_probabilities(answer, level) for level in range(len(self.levels))]  # type: ignore[arg-type]
        if [tuple(p.shape) for p in per_level] != [(K,) for K in self.K]:
            raise HierarchyError(
                f"a breadcrumb needs the answer for one picture: ({len(self.wnids)},) logits, or log-probabilities of "
                f"{self.K} groups; found shapes {[tuple(p.shape) for p in per_level]}."
            )
        best = [(int(p.argmax()), float(p.max().exp())) for p in per_level]
        return [(names[group], probability) for names, (group, probability) in zip(self.group_names, best)]

    def restrict(self, wnids: Iterable[str]) -> Hierarchy:
        """The same tree over some of its classes, rows in the given order. Groups left empty go, ids close up.

        Raises HierarchyError for a key this hierarchy does not have, or one given twice.
        """
        rows_of = {wnid: row for row, wnid in enumerate(self.wnids)}
        wanted = tuple(wnids)
        unknown = [wnid for wnid in wanted if wnid not in rows_of]
        if unknown:
            raise HierarchyError(
                f"{len(unknown)} of {len(wanted)} classes are not in {self.name}, the first is {unknown[0]!r}: "
                f"its {len(self.wnids)} keys look like {self.wnids[0]!r}."
            )
        rows = [rows_of[wnid] for wnid in wanted]
        groups, names = [], []
        for ids, of_level in zip(self.groups, self.group_names):
            kept, closed = np.unique(ids[rows], return_inverse=True)
            groups.append(closed)
            names.append(tuple(of_level[k] for k in kept))
        shape = (len(self.levels), len(rows))
        return Hierarchy(
            self.name,
            wanted,
            tuple(self.names[row] for row in rows),
            self.levels,
            np.array(groups).reshape(shape),
            tuple(names),
        )

    def to_csv(self) -> str:
        """The table as text: what ``save`` writes."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["wnid", "name", *(column for level in self.levels for column in (level, f"{level}_name"))])
        for row, (wnid, name) in enumerate(zip(self.wnids, self.names)):
            cells = ((ids[row], names[ids[row]]) for ids, names in zip(self.groups, self.group_names))
            writer.writerow([wnid, name, *(cell for pair in cells for cell in pair)])
        return text.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write the table to a CSV file, whole or not at all."""
        write_bytes(path, self.to_csv().encode())
        return Path(path)

    @staticmethod
    def load(name_or_path: str | Path) -> Hierarchy:
        """See :func:`load`."""
        return load(name_or_path)

    def __repr__(self) -> str:
        levels = ", ".join(f"{level} K={K}" for level, K in zip(self.levels, self.K))
        return f"Hierarchy({self.name!r}, {len(self.wnids)} classes: {levels})"

    def _repr_html_(self) -> str:
        from .outline import outline

        return outline(self)


def load(name_or_path: str | Path) -> Hierarchy:
    """A shipped hierarchy by name (``"imagenet-clip"``), or a CSV file by path.

    Raises HierarchyError, naming the row, for a table that contradicts itself; and for an unknown name, with the known.
    """
    from .table import parse

    path, text = read_csv(name_or_path, "hierarchies", "hierarchy", shipped_names())
    return parse(text, name=path.stem, source=str(path))
