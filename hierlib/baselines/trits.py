"""Trit planes: a block whose elements are refined together, third by third, and a codec of such blocks.

An element begins with k at the j where its scale starts, then sends one trit t for each j below, and k becomes 3k + t,
until k = v at j = 0 (see ``intervals``). All elements' symbols of one j are a *plane*; planes go from the highest j to
0, so that any cut leaves every element at a known interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..codec.coders import MU_GRID, Block
from ..codec.model import HierCodec
from ..codec.order import coding_order
from ..codec.rangecoder import LARGEST
from ..codec.tables import Tables
from ..errors import BitstreamError
from .intervals import Nested


class TritBlock(Block):
    """A block that is sent plane by plane; q: the symbols of all planes, in coding order.

    by_gain: inside a plane by dD / dR of each element's interval, or else by scale index; largest first, ties by the
    codec's spread table.
    """

    def __init__(self, index: np.ndarray, mu: np.ndarray, nested: Nested, by_gain: bool):
        super().__init__(index, mu, np.zeros(0, dtype=np.int64))
        self.nested, self.by_gain = nested, by_gain
        self._index, self._starts = index.ravel(), nested.starts[index.ravel()]
        self._k = np.zeros(index.size, dtype=np.int64)
        tops = np.arange(int(self._starts.max()), -1, -1)
        self._ends = np.cumsum([(self._starts >= j).sum() for j in tops])  # symbols up to each plane's end
        self._plane_rows: list[np.ndarray] = []  # of each plane begun, in coding order
        self._plane_orders: list[np.ndarray] = []

    @property
    def size(self) -> int:
        return int(self._ends[-1])

    @property
    def rows(self) -> np.ndarray:
        """Of the symbols received."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *self._plane_rows])[: len(self.q)]

    def next_rows(self) -> np.ndarray:
        if self.complete:
            return np.zeros(0, dtype=np.int64)
        plane, j, first = self._place()
        if plane == len(self._plane_rows):
            self._begin_plane(j)
        return self._plane_rows[plane][first:]

    def _begin_plane(self, j: int) -> None:
        """Order and rows of plane j, from what the planes before it have settled."""
        rows = self.nested.rows(self._index, j, self._k)
        key = self.nested.gains[rows] if self.by_gain else self._index
        order = coding_order(key.reshape(self.index.shape))
        self.order = order[self._starts[order] >= j]
        self._plane_rows.append(rows[self.order])
        self._plane_orders.append(self.order)

    def _place(self) -> tuple[int, int, int]:
        """Of the next symbol: which of the block's planes, its j, and where in it."""
        plane = int(np.searchsorted(self._ends, len(self.q), side="right"))
        return plane, len(self._ends) - 1 - plane, len(self.q) - self._begins(plane)

    def _begins(self, plane: int) -> int:
        return int(self._ends[plane - 1]) if plane else 0

    def next_symbols(self, values: np.ndarray) -> np.ndarray:
        _, j, first = self._place()
        places = self.order[first:]
        v = values[places]
        k = np.sign(v) * ((np.abs(v) + 3**j // 2) // 3**j)  # round(v / 3^j): 3^j is odd, there are no ties
        return k - 3 * self._k[places]

    def receive(self, q: np.ndarray, needed_bytes: np.ndarray) -> None:
        _, j, first = self._place()
        places = self.order[first : first + len(q)]
        k = 3 * self._k[places] + q
        trits = self._starts[places] > j
        if (np.abs(q[trits]) > 1).any() or (np.abs(k) > LARGEST // 3**j + 1).any():
            raise BitstreamError("A symbol lies outside of its interval: the stream is damaged.")
        self._k[places] = k
        super().receive(q, needed_bytes)

    def known(self, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(n,) j and k of the interval that the first ``count`` symbols leave of each element."""
        left = len(self.q) if count is None else min(count, len(self.q))
        k, j = np.zeros(self.index.size, dtype=np.int64), self._starts + 1
        for plane, order in enumerate(self._plane_orders):
            places = order[: max(0, left - self._begins(plane))]
            k[places] = 3 * k[places] + self.q[self._begins(plane) :][: len(places)]
            j[places] = len(self._ends) - 1 - plane
        return j, k

    def values(self, count: int | None = None) -> np.ndarray:
        """y_hat (C, h, w) float64: mu plus the mean of the interval that the first ``count`` symbols leave."""
        means = self.nested.means(self._index, *self.known(count))
        return (self.mu + means.reshape(self.mu.shape)) / MU_GRID

    def levels(self, count: int) -> int:
        """Complete planes. Those above the picture's own are empty, and complete with its first symbol."""
        empty = self.nested.planes - len(self._ends)
        return empty + int(np.searchsorted(self._ends, count, side="right")) if count else 0

    @property
    def level_ends(self) -> list[int]:
        if not len(self.q):
            return []
        empty = self.nested.planes - len(self._ends)
        last = [0] * empty + [int(end) - 1 for end in self._ends if end <= len(self.q)]
        return [int(self.needed_bytes[at]) for at in last]


class TritPlanes(HierCodec):
    """A codec of planes; see ``Nested`` and ``TritBlock`` for ``starts`` and ``by_gain``, which make the method."""

    by_gain = False
    intervals: type[Nested] = Nested

    def __init__(self, *parts: Any, **named: Any):
        super().__init__(*parts, **named)
        self.nested = self.intervals(self.y_tables, self.starts(self.y_tables))
        self.y_tables = self.nested.tables

    def starts(self, gaussians: Tables) -> np.ndarray:
        """(64,) j of the first symbol of an element of each scale."""
        raise NotImplementedError

    def record(self, index: np.ndarray, mu: np.ndarray) -> TritBlock:
        return TritBlock(index, mu, self.nested, self.by_gain)

    @property
    def levels(self) -> int:
        """Planes: of every block, those that are empty in all pictures but the widest included."""
        return self.nested.planes * len(self.slices)

    def level_ends(self, stream: bytes) -> tuple[int, ...]:
        """Bytes after which each complete plane of ``stream`` is complete."""
        return self.decoder().feed(stream).level_ends
