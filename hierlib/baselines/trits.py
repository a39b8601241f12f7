"""Nested intervals of the integer Gaussians: what DPICT, PICM and PLONQ send in place of whole symbols.

For every j the integer v = round(y - mu) lies in one interval of 3^j integers, centred on 3^j k, k = round(v / 3^j);
its thirds are those of 3k - 1, 3k and 3k + 1 at j - 1. An element begins with k at the j where its scale starts, then
sends one trit t for each j below, and k becomes 3k + t, until k = v at j = 0. All elements' symbols of one j are a
*plane*; planes go from the highest j to 0, so that any cut leaves every element at a known interval.

Probabilities, conditional means and priorities are sums over the frequencies of the codec's own integer tables, in
integers: no float is computed when a stream is read, so that no two machines can differ. k is not bounded by its row:
what lies outside is escaped, as in the codec, and refined by thirds of equal probability.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..codec.coders import MU_GRID, Block
from ..codec.model import HierCodec
from ..codec.order import coding_order
from ..codec.rangecoder import LARGEST
from ..codec.tables import TOTAL, Tables
from ..errors import BitstreamError

LOG_BITS = 16  # fractional bits of logarithms and keys


class Nested:
    """Every interval of every scale: the table row of its thirds, its conditional mean, its gain for a bit.

    gaussians: rows of unit bins, symmetric about 0. starts: (64,) for each scale index the j of an element's first
    symbol. tables: rows of thirds, in the order of (scale, j, k); then one of equal thirds, for intervals outside of a
    row; then each scale's first row, with the k that its Gaussian reaches.
    """

    def __init__(self, gaussians: Tables, starts: np.ndarray):
        self.starts, self.planes = starts, int(starts.max()) + 1
        scales = [_Scale(gaussians, index, int(start)) for index, start in enumerate(starts)]
        self.reach = np.full((len(starts), self.planes + 1), -1)  # of k, for each scale and j; -1: no such intervals
        self.offset = np.zeros_like(self.reach)  # of their rows
        thirds, means, count = [], [], 0
        for index, scale in enumerate(scales):
            for j in range(1, scale.start + 1):
                self.reach[index, j], self.offset[index, j] = scale.reach(j), count
                thirds.append(scale.masses(j - 1, np.arange(-3 * scale.reach(j) - 1, 3 * scale.reach(j) + 2)))
                means.append(scale.means(j, np.arange(-scale.reach(j), scale.reach(j) + 1)))
                count += 2 * scale.reach(j) + 1
        self._thirds = np.concatenate([*thirds, np.ones(3, dtype=np.int64)]).reshape(-1, 3)
        self._means, self._uniform, self._scales = np.concatenate([*means, [0]]), count, scales
        within = shares(np.pad(self._thirds, ((0, 0), (0, 1))))  # no encoder sends their escape
        firsts = [shares(scale.first_masses()[None])[0] for scale in scales]
        lows = np.array([-1] * len(within) + [-(len(first) // 2 - 1) for first in firsts])
        self.tables = Tables([*within, *firsts], lows)

    def rows(self, index: np.ndarray, j: int, k: np.ndarray) -> np.ndarray:
        """The row of ``tables`` for each element's symbol of plane j. index: (n,) scales; k: (n,) at j + 1."""
        row = self._intervals(index, np.full_like(index, j + 1), k)
        return np.where(self.starts[index] == j, self._uniform + 1 + index, row)

    def means(self, index: np.ndarray, j: np.ndarray, k: np.ndarray) -> np.ndarray:
        """E[v | interval] in units of 1/MU_GRID; of intervals outside of their row, and of nothing received, the
        centre. All (n,).
        """
        row = self._intervals(index, j, k)
        return np.where(row == self._uniform, MU_GRID * 3**j * k, self._means[row])

    @cached_property
    def gains(self) -> np.ndarray:
        """dD / dR of each row of ``tables``, as integers: the variance that its symbol is expected to take away, in
        quantisation steps squared, for each bit that it is expected to cost; times 2^16, rounded down.
        """
        found = np.zeros(len(self._thirds) + len(self._scales), dtype=np.int64)
        for index, scale in enumerate(self._scales):
            for j in range(1, scale.start + 1):
                rows = self.offset[index, j] + np.arange(2 * scale.reach(j) + 1)
                k = np.arange(-3 * scale.reach(j) - 1, 3 * scale.reach(j) + 2)
                found[rows] = _gains(self._thirds[rows], scale.means(j - 1, k).reshape(-1, 3))
            mass, reach = scale.first_masses()[:-1], scale.reach(scale.start)
            means = scale.means(scale.start, np.arange(-reach, reach + 1))
            found[self._uniform + 1 + index] = _gains(mass[None], means[None])[0]
        found[self._uniform] = found.max()  # outliers are rare and far off
        return found

    def _intervals(self, index: np.ndarray, j: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Rows of the thirds of intervals; that of equal thirds where an interval lies outside of its scale's row."""
        reach = self.reach[index, j]
        return np.where(np.abs(k) <= reach, self.offset[index, j] + k + reach, self._uniform)


class _Scale:
    """The intervals of one Gaussian: sums over its unit bins.

    The intervals of the first symbol reach a little further than the row of the tables; a value out there has a
    sixteenth of the least frequency. Without it an outlier pays twice, for being in the last interval and at its edge.
    """

    def __init__(self, gaussians: Tables, index: int, start: int):
        begin, end = gaussians.begins[index], gaussians.begins[index + 1]
        frequencies = np.diff(gaussians.cumulative[begin:end])
        c = -int(gaussians.lows[index])
        if len(frequencies) != 2 * c + 2:
            raise ValueError("a Gaussian's row holds as many values below zero as above it")
        width = 3**start
        self.start, self.limit = start, (c + width // 2) // width * width + width // 2
        beyond = np.ones(self.limit - c, dtype=np.int64)
        mass = np.concatenate([beyond, 16 * frequencies[:-1], beyond])
        self.escape = 16 * int(frequencies[-1])
        values = np.arange(-self.limit, self.limit + 1)
        self._mass, self._moment = (np.append(0, np.cumsum(sums)) for sums in (mass, mass * values))

    def reach(self, j: int) -> int:
        """The largest k of an interval inside."""
        return (self.limit - 3**j // 2) // 3**j

    def _sum(self, sums: np.ndarray, j: int, k: np.ndarray) -> np.ndarray:
        low, high = (3**j * k + side + self.limit for side in (-(3**j // 2), 3**j // 2 + 1))
        return sums[high] - sums[low]

    def masses(self, j: int, k: np.ndarray) -> np.ndarray:
        """Sums of frequencies over the intervals of k at j."""
        return self._sum(self._mass, j, k)

    def means(self, j: int, k: np.ndarray) -> np.ndarray:
        """Conditional means in units of 1/MU_GRID, rounded."""
        mass, moment = self.masses(j, k), self._sum(self._moment, j, k)
        return np.sign(moment) * ((2 * MU_GRID * np.abs(moment) + mass) // (2 * mass))

    def first_masses(self) -> np.ndarray:
        """Of the k of an element's first symbol, and of all that lies outside."""
        k = np.arange(-self.reach(self.start), self.reach(self.start) + 1)
        return np.append(self.masses(self.start, k), self.escape)


def shares(mass: np.ndarray) -> np.ndarray:
    """(n, m) integer masses, not all of a row 0 -> integer frequencies, each at least 1, whose rows sum to 2^16."""
    frequency = 1 + mass * (TOTAL - mass.shape[1]) // mass.sum(1, keepdims=True)
    frequency[np.arange(len(mass)), frequency.argmax(1)] += TOTAL - frequency.sum(1)
    return frequency


def log2_fixed(x: np.ndarray) -> np.ndarray:
    """log2 of integers 1 .. 2^16, in units of 2^-16: by squaring, in integers, the same everywhere.

    Rounded down; for four of the 65,536 one unit lower still, because the squares are cut off.

    >>> [int(v) for v in log2_fixed(np.array([1, 2, 3, 65536])) * 1000 >> 16]
    [0, 1000, 1584, 16000]
    """
    whole = np.zeros_like(x)
    for bit in range(1, 17):
        whole += x >= 1 << bit
    mantissa, result = (x << (31 - whole)).astype(np.uint64), whole
    for _ in range(LOG_BITS):
        mantissa = mantissa * mantissa >> np.uint64(31)  # below 2^64
        carry = mantissa >> np.uint64(32)
        mantissa, result = mantissa >> carry, result * 2 + carry.astype(np.int64)
    return result


def _gains(mass: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(n, m) masses of an interval's parts and their means -> dD / dR of sending which part it is."""
    whole = mass.sum(1)
    frequency = shares(mass)
    bits = (frequency * ((LOG_BITS << LOG_BITS) - log2_fixed(frequency))).sum(1)  # 2^32 H
    mean = (mass * means).sum(1) // whole
    spread = (mass * (means - mean[:, None]) ** 2).sum(1)  # between the parts: total variance less what is left in them
    per_bit = MU_GRID**2 * whole.astype(object) * np.maximum(bits, 1)  # Python's integers have room for the products
    return ((spread.astype(object) << 32 + LOG_BITS) // per_bit).astype(np.int64)


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

    def __init__(self, *parts, **named) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*parts, **named)
        self.nested = self.intervals(self.y_tables, self.starts(self.y_tables))
        self.y_tables = self.nested.tables

    intervals: type[Nested] = Nested

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


def digits(gaussians: Tables) -> np.ndarray:
    """(64,) how many trits hold each Gaussian: the smallest l with 3^l at least the length of its row."""
    lengths = np.diff(gaussians.begins) - 2
    return np.array([next(d for d in range(1, 16) if 3**d >= length) for length in lengths])
