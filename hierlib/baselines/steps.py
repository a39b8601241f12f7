"""DeepHQ's quantiser: every element's y - mu lies in an interval that only shrinks, in integers of 1/256.

    first symbol     which bin of the level's step, 0 in the middle of one, an unbounded alphabet: outliers are escaped
    each later one   which of n equal parts of the interval, n the whole number nearest to width / step; of the interval
                     that holds 0 the nearest odd one, so that what is probably 0 stays cheap. One part costs nothing

Both have the Gaussian's mass of the bin or part, given the interval, as an integer frequency. Sums over the Gaussian
are a table that is made in integers; no float is compared or rounded, so that no two machines can differ.

Bins of exactly the step about the interval's centre, cut off where it ends, were tried: slivers remain that are never
of the size that any level wants. On ladders with a ratio of 1.4 to 2 they cost 0.1 to 0.6 bit an element more than a
uniform quantiser of the same error; equal parts cost 0 to 0.03. What is here works on numpy's arrays (streams) and on
torch's tensors (training) alike.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..codec.coders import MU_GRID
from ..codec.tables import LOG_SIGMA_MIN, LOG_SIGMA_STEP, SCALES, TOTAL, Tables

CELLS, REACH, FRACTION = 512, 8, 24  # of the Gaussian's table: cells a sigma, sigmas, bits of a place inside a cell
KNOWN = 6  # sigmas that the first symbol's alphabet reaches
HALF_BITS = 39  # the mass of one side is 2^39
# the middle of what rounds up to an index: its upper end, as in the codec, cost a toy 5 to 8 % of its coarse levels
SIGMAS = np.exp(LOG_SIGMA_MIN + LOG_SIGMA_STEP * np.maximum(np.arange(SCALES) - 0.5, 0))
SLOPES = np.rint(2.0**FRACTION * CELLS / (MU_GRID * SIGMAS)).astype(np.int64)  # none lies near an edge (tested)

Integers = TypeVar("Integers", np.ndarray, Tensor)

# -- intervals [low, high)


def first(value: Integers, step: Integers) -> tuple[Integers, Integers, Integers]:
    """The bin of an even ``step`` that holds ``value``: its number, low and high."""
    number = (value + step // 2) // step
    low = number * step - step // 2
    return number, low, low + step


def parts(low: Integers, high: Integers, step: Integers) -> Integers:
    """Into how many parts a level of ``step`` cuts an interval.

    >>> parts(np.array([-10, 10, 10, -10]), np.array([10, 30, 30, 10]), np.array([9, 9, 14, 11]))
    array([3, 2, 1, 1])
    """
    width = high - low
    middle = ((low <= 0) & (high > 0)) * 1
    count = middle * (2 * (width // (2 * step)) + 1) + (1 - middle) * ((2 * width + step) // (2 * step))
    return count + (count < 1) * 1


def part_of(value: Integers, low: Integers, high: Integers, count: Integers) -> Integers:
    """Which part of [low, high) holds ``value``."""
    return ((value - low + 1) * count - 1) // (high - low)


def part(number: Integers, low: Integers, high: Integers, count: Integers) -> tuple[Integers, Integers]:
    """Low and high of a part."""
    width = high - low
    return low + number * width // count, low + (number + 1) * width // count


# -- the Gaussian


@lru_cache(maxsize=1)
def normal_sums() -> np.ndarray:
    """(CELLS * REACH + 1,) mass of a standard Gaussian between 0 and each place, the last one 2^39: Boole's rule, in
    integers of 96 fractional bits.
    """
    bits = 96
    x = (1 << bits) // (32 * CELLS**2)  # delta^2 / 2, delta being a quarter of a cell
    ratio, term, count = 0, 1 << bits, 0
    while term:  # exp(-x) by its series
        ratio += -term if count % 2 else term
        count += 1
        term = (term * x >> bits) // count
    square, density = ratio * ratio >> bits, [1 << bits]
    for _ in range(4 * CELLS * REACH):  # exp(-(k + 1)^2 x) = exp(-k^2 x) exp(-(2k + 1) x)
        density.append(density[-1] * ratio >> bits)
        ratio = ratio * square >> bits
    sums = [0]
    for at in range(0, 4 * CELLS * REACH, 4):
        sums.append(sums[-1] + sum(w * d for w, d in zip((7, 32, 12, 32, 7), density[at : at + 5])))
    return np.array([(each << HALF_BITS) // sums[-1] for each in sums], dtype=np.int64)


def mass_up_to(index: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Mass of the Gaussian of scale ``index`` between 0 and x, negative below 0; (n,) integers each."""
    sums = normal_sums()
    at = np.minimum(np.abs(x) * SLOPES[index], REACH * CELLS << FRACTION)
    cell = np.minimum(at >> FRACTION, REACH * CELLS - 1)
    mass = sums[cell] + ((sums[cell + 1] - sums[cell]) * (at - (cell << FRACTION)) >> FRACTION)
    return np.sign(x) * mass


def means(low: Tensor, high: Tensor, sigma: Tensor) -> Tensor:
    """E[x | low <= x < high] of zero-mean Gaussians, float64, all in one unit; the centre where there is no mass.

    It is only shown, never coded: rounding may differ between machines.
    """
    flip = torch.where(low + high > 0, -1.0, 1.0).to(sigma)  # the lower tail, where differences keep their digits
    a, b = torch.where(flip > 0, low, -high) / sigma, torch.where(flip > 0, high, -low) / sigma
    mass = (torch.erfc(-b * 0.5**0.5) - torch.erfc(-a * 0.5**0.5)) / 2  # ndtr has no digits down there
    density = (torch.exp(-a * a / 2) - torch.exp(-b * b / 2)) * (2 * torch.pi) ** -0.5
    plain = (mass > 1e-200) & (b - a > 1e-3)
    mean = flip * sigma * density / torch.where(plain, mass, 1.0)
    return torch.minimum(torch.maximum(torch.where(plain, mean, (low + high) / 2), low), high)


# -- rows of frequencies


class Rows(Tables):
    """Tables that are made for the symbols of one level of one picture.

    index: (m,) scales; counts, lows: symbols of each row but the escape, and the lowest; edges: of each row's symbols,
    counts + 1 of them, one row after another. A row's cumulative frequencies are k + floor(mass(k) (65535 - n) /
    mass(n)), with mass(k) from the first edge to the k-th: the Gaussian's, and 1 for each 1/256, so that nothing
    is impossible and parts far out are equal. The escape has a frequency of 1.
    """

    def __init__(self, index: np.ndarray, counts: np.ndarray, lows: np.ndarray, edges: np.ndarray):
        row, k = ramps(counts + 1)
        begins = np.cumsum(counts + 1)
        mass = mass_up_to(index[row], edges) + edges
        mass -= mass[(begins - counts - 1)[row]]
        sums = k + mass * (TOTAL - 1 - counts[row]) // mass[begins - 1][row]
        self.cumulative = np.insert(sums, begins, TOTAL)
        self.begins = np.concatenate([[0], np.cumsum(counts + 2)])
        self.lows = lows


def ramps(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m,) sizes -> of each of their sum's entries the row, and the place in it: 0, 1, ..

    >>> ramps(np.array([2, 3]))
    (array([0, 0, 1, 1, 1]), array([0, 1, 0, 1, 2]))
    """
    row = np.repeat(np.arange(len(sizes)), sizes)
    return row, np.arange(len(row)) - (np.cumsum(sizes) - sizes)[row]


def level_rows(index: np.ndarray, step: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[Rows, np.ndarray]:
    """The tables of a level's symbols, and the row of each: first symbols where high = low, else parts. All (n,)."""
    fresh = high == low
    pairs, which = np.unique(index[fresh] << 32 | step[fresh], return_inverse=True)
    of_pair, bin_step = pairs >> 32, pairs & (1 << 32) - 1
    reach = (KNOWN * CELLS << FRACTION) // SLOPES[of_pair] // bin_step + 1
    row, k = ramps(2 * reach + 2)
    edges = (k - reach[row]) * bin_step[row] - bin_step[row] // 2
    old = ~fresh
    count = parts(low[old], high[old], step[old])
    of_old, at = ramps(count + 1)
    cuts = low[old][of_old] + at * (high - low)[old][of_old] // count[of_old]
    rows = np.empty(len(index), dtype=np.int64)
    rows[fresh], rows[old] = which, len(pairs) + np.arange(len(count))
    tables = Rows(
        np.concatenate([of_pair, index[old]]),
        np.concatenate([2 * reach + 1, count]),
        np.concatenate([-reach, np.zeros_like(count)]),
        np.concatenate([edges, cuts]),
    )
    return tables, rows
