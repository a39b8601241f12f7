"""Nested intervals of the integer Gaussians, of which DPICT, CTC, PICM and PLONQ say one third after the other.

For every j the integer v = round(y - mu) lies in one interval of 3^j integers, centred on 3^j k, k = round(v / 3^j);
its thirds are those of 3k - 1, 3k and 3k + 1 at j - 1.

Probabilities, conditional means and priorities are sums over the frequencies of the codec's own integer tables, in
integers: no float is computed when a stream is read, so that no two machines can differ. k is not bounded by its row:
what lies outside is escaped, as in the codec, and refined by thirds of equal probability.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..codec.coders import MU_GRID
from ..codec.tables import TOTAL, Tables

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


def digits(gaussians: Tables) -> np.ndarray:
    """(64,) how many trits hold each Gaussian: the smallest l with 3^l at least the length of its row."""
    lengths = np.diff(gaussians.begins) - 2
    return np.array([next(d for d in range(1, 16) if 3**d >= length) for length in lengths])
