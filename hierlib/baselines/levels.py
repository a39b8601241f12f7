"""DeepHQ's stream: a block whose elements' intervals are made smaller level by level (see ``steps``).

An element enters at a level, with its first symbol, and has one symbol at each level from there on, in the order of
sigma, largest first; where its interval stays whole that symbol costs 2e-5 bits.
"""

from __future__ import annotations

import numpy as np
import torch

from ..codec.coders import MU_GRID, Block
from ..codec.order import coding_order
from ..codec.rangecoder import LARGEST
from ..codec.tables import SCALES, Tables
from ..errors import BitstreamError
from . import steps


class LevelBlock(Block):
    """A block that is sent level by level; q: the symbols of all levels, in coding order.

    index: scale index + SCALES * the level that an element enters at, L for never. sizes: (L, C) steps in units of
    1/MU_GRID. The first element in order enters at the last level at the latest: no stream is without a symbol.
    """

    def __init__(self, index: np.ndarray, mu: np.ndarray, sizes: np.ndarray):
        super().__init__(index, mu, np.zeros(0, dtype=np.int64))
        self._scale, self._entry = index.ravel() % SCALES, index.ravel() // SCALES
        if self._entry.max() > len(sizes):
            raise BitstreamError("An element enters at a level that does not exist: the stream is damaged.")
        self._whole_order = coding_order(self._scale.reshape(index.shape))
        first = self._whole_order[0]
        self._entry[first] = min(len(sizes) - 1, self._entry[first])
        self._sizes = np.repeat(sizes, index[0].size, axis=1)
        self._ends = np.cumsum([(self._entry <= level).sum() for level in range(len(sizes))])  # symbols up to each end
        self._low, self._high = np.zeros((2, index.size), dtype=np.int64)  # equal: not begun
        self._orders: list[np.ndarray] = []  # of each level begun
        self._tables: list[tuple[steps.Rows, np.ndarray]] = []  # of those, and the row of each symbol

    @property
    def size(self) -> int:
        return int(self._ends[-1])

    def next_rows(self) -> np.ndarray:
        if self.complete:
            return np.zeros(0, dtype=np.int64)
        level, first = self._place()
        while len(self._orders) <= level:
            self._begin_level(len(self._orders))
        return self._tables[level][1][first:]

    def rows_of(self, tables: Tables) -> Tables:
        return self._tables[-1][0]

    def _begin_level(self, level: int) -> None:
        self.order = at = self._whole_order[self._entry[self._whole_order] <= level]
        self._orders.append(at)
        self._tables.append(steps.level_rows(self._scale[at], self._sizes[level][at], self._low[at], self._high[at]))

    def _place(self) -> tuple[int, int]:
        """Of the next symbol: its level, and where in it."""
        level = int(np.searchsorted(self._ends, len(self.q), side="right"))
        return level, len(self.q) - self._begins(level)

    def _begins(self, level: int) -> int:
        return int(self._ends[level - 1]) if level else 0

    def quantised(self, residual: np.ndarray) -> np.ndarray:
        """In units of 1/MU_GRID, rounded down."""
        fine = np.floor(np.nan_to_num(residual) * MU_GRID)
        return np.clip(fine, -LARGEST, LARGEST).astype(np.int64).ravel()

    def next_symbols(self, values: np.ndarray) -> np.ndarray:
        level, first = self._place()
        at = self.order[first:]
        low, high, step, value = self._low[at], self._high[at], self._sizes[level][at], values[at]
        fresh = low == high
        inside = high + fresh  # what has not begun has no parts: ask of something
        which = steps.part_of(value, low, inside, steps.parts(low, inside, step))
        return np.where(fresh, steps.first(value, step)[0], which)

    def receive(self, q: np.ndarray, needed_bytes: np.ndarray) -> None:
        level, first = self._place()
        at = self.order[first : first + len(q)]
        low, high, step = self._low[at], self._high[at], self._sizes[level][at]
        beyond = (q < 0) | (q >= steps.parts(low, high, step))
        if np.where(low == high, np.abs(q) * step > LARGEST + step, beyond).any():
            raise BitstreamError("A symbol lies outside of its interval: the stream is damaged.")
        self._refine(level, at, q, self._low, self._high)
        super().receive(q, needed_bytes)

    def _refine(self, level: int, at: np.ndarray, q: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """The symbols of places ``at`` -> their intervals, in place."""
        a, b, step = low[at], high[at], self._sizes[level][at]
        bottom, fresh = q * step - step // 2, a == b
        cut = steps.part(q, a, b, steps.parts(a, b, step))
        low[at], high[at] = np.where(fresh, bottom, cut[0]), np.where(fresh, bottom + step, cut[1])

    def intervals(self, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(n,) low and high that the first ``count`` symbols leave of each element; equal where it has not begun."""
        left = len(self.q) if count is None else min(count, len(self.q))
        if left == len(self.q):
            return self._low, self._high
        low, high = np.zeros((2, self.index.size), dtype=np.int64)
        for level, order in enumerate(self._orders):
            at = order[: max(0, left - self._begins(level))]
            self._refine(level, at, self.q[self._begins(level) :][: len(at)], low, high)
        return low, high

    def values(self, count: int | None = None) -> np.ndarray:
        """y_hat (C, h, w) float64: mu plus the mean of the interval that the first ``count`` symbols leave."""
        low, high = (torch.from_numpy(each).double() for each in self.intervals(count))
        sigma = torch.from_numpy(steps.SIGMAS[self._scale] * MU_GRID)
        shown = steps.means(low, high, sigma).numpy()  # of what has not begun: 0
        return (self.mu + shown.reshape(self.mu.shape)) / MU_GRID

    def ideal_bits(self, tables: Tables) -> float:
        symbols = np.split(self.q, self._ends[:-1])
        return sum(own.ideal_bits(q, rows[: len(q)]) for q, (own, rows) in zip(symbols, self._tables))

    def levels(self, count: int) -> int:
        """Complete levels. Those before a picture's first symbol are empty, and complete with it."""
        return int(np.searchsorted(self._ends, count, side="right")) if count else 0

    @property
    def level_ends(self) -> list[int]:
        if not len(self.q):
            return []
        return [int(self.needed_bytes[max(0, end - 1)]) for end in self._ends if end <= len(self.q)]
