"""The symbols of DPICT, PICM and PLONQ, read as FORMAT.md's section 9 says and nothing else: plain integers, slow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise

import format_reference as reference
import numpy as np
from format_reference import Missing, RangeDecoder, Weights


@dataclass
class Scale:
    """One row of ``y`` as section 9 sees it: s, limit, masses of the values -limit .. limit and of all beyond."""

    s: int
    limit: int
    mass: list[int]
    beyond: int

    def of(self, j: int, k: int) -> int:
        """Mass of an interval inside the limit."""
        return self.sums[3**j * k + 3**j // 2 + 1 + self.limit] - self.sums[3**j * k - 3**j // 2 + self.limit]

    def mean(self, j: int, k: int) -> int:
        """Times 256, rounded, halves away from 0."""
        moment = sum(v * self.mass[v + self.limit] for v in range(3**j * k - 3**j // 2, 3**j * k + 3**j // 2 + 1))
        size = (512 * abs(moment) + self.of(j, k)) // (2 * self.of(j, k))
        return size if moment >= 0 else -size

    def inside(self, j: int, k: int) -> bool:
        return 3**j * abs(k) + 3**j // 2 <= self.limit

    def __post_init__(self) -> None:
        self.sums = [0, *accumulate(self.mass)]


def scale(low: int, cumulative: list[int], method: str) -> Scale:
    frequencies = [b - a for a, b in pairwise(cumulative)]
    c, s = -low, 2
    if method != "plonq":
        s = next(n for n in range(1, 99) if 3**n >= len(frequencies) - 1) - 1
    K = (c + (3**s - 1) // 2) // 3**s
    limit = 3**s * K + (3**s - 1) // 2
    outside = [1] * (limit - c)
    return Scale(s, limit, [*outside, *(16 * f for f in frequencies[:-1]), *outside], 16 * frequencies[-1])


def shares(masses: list[int]) -> list[int]:
    n = len(masses)
    found = [1 + m * (65536 - n) // sum(masses) for m in masses]
    found[found.index(max(found))] += 65536 - sum(found)
    return found


def log2(f: int) -> int:
    r = f.bit_length() - 1
    m = f << (31 - r)
    for _ in range(16):
        m = m * m >> 31
        carry = m >> 32
        m, r = m >> carry, 2 * r + carry
    return r


def gain(masses: list[int], means: list[int]) -> int:
    whole = sum(masses)
    mean = sum(m * x for m, x in zip(masses, means)) // whole
    spread = sum(m * (x - mean) ** 2 for m, x in zip(masses, means))
    bits = sum(f * (16 * 65536 - log2(f)) for f in shares(masses))
    return 2**48 * spread // (65536 * whole * max(bits, 1))


class Reader:
    """Section 9 for one method: rows and gains of intervals, kept once made."""

    def __init__(self, weights: Weights, method: str):
        self.method = method
        self.scales = [scale(low, cumulative, method) for low, cumulative in weights.y]
        self.row, self.gain = lru_cache(None)(self._row), lru_cache(None)(self._gain)

    def _parts(self, i: int, j: int, k: int) -> list[tuple[int, int]]:
        """The (j, k) among which the symbol of plane j chooses. k: at j + 1."""
        one = self.scales[i]
        if one.s == j:
            K = (one.limit - 3**j // 2) // 3**j
            return [(j, each) for each in range(-K, K + 1)]
        return [(j, 3 * k + t) for t in (-1, 0, 1)]

    def _row(self, i: int, j: int, k: int) -> tuple[int, list[int]]:
        one = self.scales[i]
        if one.s != j and not one.inside(j + 1, k):
            masses = [1, 1, 1, 0]
        else:
            masses = [*(one.of(*part) for part in self._parts(i, j, k)), one.beyond if one.s == j else 0]
        return -(len(masses) // 2 - 1), [0, *accumulate(shares(masses))]

    def _gain(self, i: int, j: int, k: int) -> int:
        one, parts = self.scales[i], self._parts(i, j, k)
        if one.s != j and not one.inside(j + 1, k):
            return 2**63  # the largest
        return gain([one.of(*part) for part in parts], [one.mean(*part) for part in parts])

    def key(self, i: int, j: int, k: int) -> int:
        return self.gain(i, j, k) if self.method == "dpict" else i

    def read(self, coder: RangeDecoder, index: np.ndarray, rank: list[int]) -> tuple[list[int], list[tuple[int, int]]]:
        """All symbols that are settled, and (j, k) of every element, (s + 1, 0) where nothing of it is."""
        levels, places, symbols = index.ravel().tolist(), len(rank), []
        at = [(self.scales[i].s + 1, 0) for i in levels]
        try:
            for j in range(max(self.scales[i].s for i in levels), -1, -1):
                members = [e for e, i in enumerate(levels) if self.scales[i].s >= j]
                known = [k for _, k in at]
                members.sort(key=lambda e: (-self.key(levels[e], j, known[e]), e // places, rank[e % places]))
                for e in members:
                    symbols.append(reference.value(coder, *self.row(levels[e], j, at[e][1])))
                    at[e] = j, 3 * at[e][1] + symbols[-1]
        except Missing:
            pass
        return symbols, at

    def mean(self, i: int, j: int, k: int) -> int:
        """Times 256."""
        return (
            self.scales[i].mean(j, k) if 0 < j <= self.scales[i].s and self.scales[i].inside(j, k) else 256 * 3**j * k
        )


@dataclass
class Said:
    symbols: list[int] = field(default_factory=list)
    y_hat: np.ndarray | None = None


def decode(data: bytes, weights: Weights, method: str) -> Said:
    """Of a stream of one block: its symbols that are settled, and y_hat, None before the block is begun."""
    said, read = Said(), reference.header(data)
    if read is None:
        return said
    height, width, at, mark = read
    assert mark == weights.fingerprint
    coder, (rows, columns) = RangeDecoder(data[at:]), reference.z_map((height, width))
    try:
        z = [reference.value(coder, low, row) for low, row in weights.z for _ in range(rows * columns)]
        empty = np.zeros((weights.config.M, 4 * rows, 4 * columns))
        index, grid = reference.integers(*reference.Parameters(weights, (height, width), z).block(0, empty))
        reference.exceptions(coder, index.ravel(), grid.ravel())
        assert coder.bits(8) == reference.crc(0, [height, width], z, index, grid) & 255
    except Missing:
        return said
    reader = Reader(weights, method)
    said.symbols, found = reader.read(coder, index, reference.spread(4 * rows, 4 * columns))
    means = [reader.mean(i, j, k) for i, (j, k) in zip(index.ravel().tolist(), found)]
    said.y_hat = (grid + np.array(means).reshape(grid.shape)) / 256
    return said


def fingerprint(tensors: dict[str, np.ndarray], method: str) -> bytes:
    """Section 7, for a peer."""
    hashed = hashlib.sha256()
    meant = ("network.entropy.", "network.g_s.", "network.linear.inverse", "tables.", "context.")
    for name in sorted(name for name in tensors if name.startswith(meant)):
        hashed.update(name.encode() + tensors[name].tobytes())
    hashed.update(f"method {method}".encode())
    return hashed.digest()[:3]
