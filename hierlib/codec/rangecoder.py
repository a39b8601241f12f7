"""A range coder whose streams may be cut at any byte.

Byte-wise, carry-propagating (as in LZMA), 32-bit range, integer frequencies that sum to 2^16. What is ours is the
**determined-symbol rule**: missing low bytes are an interval, and a symbol is returned only if every completion of the
bytes decodes to it. So no cut ever yields a wrong symbol, and none that the bytes settle is withheld.

Symbols come as rows of a table of cumulative frequencies; a row ends in an escape symbol, after which the excess is
sent as an Exp-Golomb number in plain bits, so outliers cost bits but are never clamped.

The loops are compiled by numba (cached beside the package). constriction and CompressAI's rANS are the oracles in the
tests.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PRECISION = 16
TOTAL = 1 << PRECISION
TOP = 1 << 24
MAX_ESCAPE_BITS = 24  # a longer escape is damage: latents are bounded far below 2^24

# decoder state: an int64 vector
CODE, RANGE, POSITION, MISSING, NEEDED, STOPPED = range(6)
DETERMINED, UNDETERMINED, DAMAGED = 0, 1, 2


@njit(cache=True)
def _carry(out: np.ndarray, length: int) -> None:
    """Add one to the number that the first ``length`` bytes spell."""
    at = length - 1
    while out[at] == 255:
        out[at] = 0
        at -= 1
    out[at] += 1


@njit(cache=True)
def _encode(starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, int]:
    """Encode intervals [start, start + size) of 2^16; returns a buffer and how many of its bytes count."""
    out = np.zeros(2 * len(starts) + 16, dtype=np.uint8)
    low, width, length = 0, 0xFFFFFFFF, 0
    for i in range(len(starts)):
        unit = width >> PRECISION
        low += unit * starts[i]
        width = unit * sizes[i]
        if low > 0xFFFFFFFF:
            low &= 0xFFFFFFFF
            _carry(out, length)
        while width < TOP:
            out[length] = low >> 24
            length += 1
            low = (low << 8) & 0xFFFFFFFF
            width <<= 8
    # fewest bytes that settle every symbol whatever follows them
    for count in range(5):
        unknown = (1 << (8 * (4 - count))) - 1
        value = (low + unknown) & ~unknown
        if value + unknown < low + width:
            if value > 0xFFFFFFFF:
                value &= 0xFFFFFFFF
                _carry(out, length)
            for b in range(count):
                out[length + b] = (value >> (24 - 8 * b)) & 255
            return out, length + count
    return out, -1  # cannot happen: width >= 2^24 leaves room for 4 known bytes


def encode(starts: np.ndarray, sizes: np.ndarray) -> bytes:
    """Intervals of 2^16, in order -> bytes that settle all of them, and no more bytes than that takes."""
    if len(starts) == 0:
        return b""
    buffer, length = _encode(np.asarray(starts, dtype=np.int64), np.asarray(sizes, dtype=np.int64))
    return buffer[:length].tobytes()


@njit(cache=True)
def _open(data: np.ndarray) -> np.ndarray:
    state = np.zeros(6, dtype=np.int64)
    state[RANGE] = 0xFFFFFFFF
    for i in range(4):
        state[CODE] = (state[CODE] << 8) | (data[i] if i < len(data) else 0)
        if i >= len(data):
            state[MISSING] = (state[MISSING] << 8) | 255
    state[POSITION] = 4
    return state


@njit(cache=True)
def _take(state: np.ndarray, data: np.ndarray, row: np.ndarray) -> int:
    """Decode one symbol of the cumulative row; -1 if the bytes do not settle it (state[STOPPED] says why)."""
    unit = state[RANGE] >> PRECISION
    target = state[CODE] // unit
    if target >= TOTAL:  # beyond every interval, and missing bytes only add: no encoder writes this
        state[STOPPED] = DAMAGED
        return -1
    low, high = 0, len(row) - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if row[middle] <= target:
            low = middle
        else:
            high = middle
    start, end = row[low] * unit, row[low + 1] * unit
    if state[MISSING] and state[CODE] + state[MISSING] >= end:
        state[STOPPED] = UNDETERMINED
        return -1
    # how few bytes would have settled it: forget bytes from the last one on while the interval still fits
    needed, forgotten, unknown = state[POSITION], 0, 255
    for back in range(4):
        position = needed - 1
        if position < len(data):
            forgotten |= int(data[position]) << (8 * back)
        floor = state[CODE] - forgotten
        if floor < start or floor + unknown >= end:
            break
        needed, unknown = position, (unknown << 8) | 255
    if needed > state[NEEDED]:
        state[NEEDED] = needed
    state[CODE] -= start
    state[RANGE] = end - start
    while state[RANGE] < TOP:
        position = state[POSITION]
        state[CODE] = (state[CODE] << 8) | (data[position] if position < len(data) else 0)
        state[MISSING] = (state[MISSING] << 8) | (0 if position < len(data) else 255)
        state[RANGE] <<= 8
        state[POSITION] = position + 1
    return low


_BIT = np.array([0, TOTAL // 2, TOTAL], dtype=np.int64)


@njit(cache=True)
def _take_bits(state: np.ndarray, data: np.ndarray, count: int, bit_row: np.ndarray) -> int:
    value = 0
    for _ in range(count):
        bit = _take(state, data, bit_row)
        if bit < 0:
            return -1
        value = 2 * value + bit
    return value


@njit(cache=True)
def _take_values(
    state: np.ndarray, data: np.ndarray, rows: np.ndarray, cumulative: np.ndarray, begins: np.ndarray, lows: np.ndarray,
    bit_row: np.ndarray, out: np.ndarray, needed: np.ndarray,
) -> int:  # fmt: skip
    """Decode out[i] under row rows[i], noting the bytes that takes; returns how many were settled."""
    for i in range(len(rows)):
        begin, end = begins[rows[i]], begins[rows[i] + 1]
        symbol = _take(state, data, cumulative[begin:end])
        if symbol < 0:
            return i
        escape = end - begin - 2
        if symbol == escape:
            length = 0
            while True:
                bit = _take(state, data, bit_row)
                if bit < 0:
                    return i
                if bit == 1:
                    break
                length += 1
                if length > MAX_ESCAPE_BITS:
                    state[STOPPED] = DAMAGED
                    return i
            rest = _take_bits(state, data, length, bit_row)
            if rest < 0:
                return i
            folded = (1 << length) + rest - 1  # 0, 1, 2, ... = above the row, below it, above by two, ...
            above, beyond = folded % 2 == 0, folded // 2
            out[i] = lows[rows[i]] + escape + beyond if above else lows[rows[i]] - 1 - beyond
        else:
            out[i] = lows[rows[i]] + symbol
        needed[i] = state[NEEDED]
    return len(rows)


@njit(cache=True)
def _intervals(
    values: np.ndarray, rows: np.ndarray, cumulative: np.ndarray, begins: np.ndarray, lows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    size = len(values) + 16
    starts, sizes, used = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), 0
    for i in range(len(values)):
        if used + 2 * MAX_ESCAPE_BITS + 8 > size:
            size *= 2
            more_starts, more_sizes = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
            more_starts[:used], more_sizes[:used] = starts[:used], sizes[:used]
            starts, sizes = more_starts, more_sizes
        begin, end = begins[rows[i]], begins[rows[i] + 1]
        escape = end - begin - 2
        symbol = values[i] - lows[rows[i]]
        outside = symbol < 0 or symbol >= escape
        coded = escape if outside else symbol
        starts[used] = cumulative[begin + coded]
        sizes[used] = cumulative[begin + coded + 1] - cumulative[begin + coded]
        used += 1
        if outside:
            folded = 2 * (symbol - escape) if symbol >= escape else 2 * (-1 - symbol) + 1
            number, length = folded + 1, 0
            while number >> (length + 1):
                length += 1
            for b in range(2 * length + 1):  # ``length`` zeros, a one, then the rest of the number
                bit = 0 if b < length else (number >> (2 * length - b)) & 1
                starts[used], sizes[used] = bit * (TOTAL // 2), TOTAL // 2
                used += 1
    return starts, sizes, used


class Tables:
    """Rows of cumulative frequencies for integer values, each ending in an escape.

    frequencies: per row the frequencies of lows[row], lows[row] + 1, ... and of the escape; each sums to 2^16.
    """

    def __init__(self, frequencies: list[np.ndarray], lows: np.ndarray):
        for row in frequencies:
            if int(row.sum()) != TOTAL or row.min() < 1 or len(row) < 2:
                raise ValueError("a row of frequencies is positive, ends in an escape and sums to 65536")
        self.cumulative = np.concatenate([np.concatenate([[0], np.cumsum(row)]) for row in frequencies]).astype(
            np.int64
        )
        self.begins = np.cumsum([0, *(len(row) + 1 for row in frequencies)]).astype(np.int64)
        self.lows = np.asarray(lows, dtype=np.int64)

    def intervals(self, values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The intervals that code ``values`` under rows ``rows``; escapes expand to several."""
        values, rows = np.asarray(values, dtype=np.int64), np.asarray(rows, dtype=np.int64)
        starts, sizes, used = _intervals(values, rows, self.cumulative, self.begins, self.lows)
        return starts[:used], sizes[:used]

    def ideal_bits(self, values: np.ndarray, rows: np.ndarray) -> float:
        """Ideal code length of ``values`` under these integer tables."""
        return float(-np.log2(self.intervals(values, rows)[1] / TOTAL).sum())


class Encoder:
    """Collects intervals; ``finish`` turns them into bytes."""

    def __init__(self) -> None:
        self._starts: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []

    def put(self, start: int, size: int) -> None:
        self._starts.append(np.array([start]))
        self._sizes.append(np.array([size]))

    def put_bits(self, value: int, count: int) -> None:
        for shift in range(count - 1, -1, -1):
            self.put((value >> shift & 1) * (TOTAL // 2), TOTAL // 2)

    def put_values(self, values: np.ndarray, rows: np.ndarray, tables: Tables) -> None:
        starts, sizes = tables.intervals(values, rows)
        self._starts.append(starts)
        self._sizes.append(sizes)

    def finish(self) -> bytes:
        if not self._starts:
            return b""
        return encode(np.concatenate(self._starts), np.concatenate(self._sizes))


class Decoder:
    """Reads what a prefix settles. Once something is not settled, ``stopped`` is set and nothing more comes.

    needed_bytes: the fewest bytes of the stream that settle all that was read so far.
    """

    def __init__(self, prefix: bytes):
        self._data = np.frombuffer(prefix, dtype=np.uint8)
        self._state = _open(self._data)

    @property
    def needed_bytes(self) -> int:
        return int(self._state[NEEDED])

    @property
    def stopped(self) -> bool:
        return bool(self._state[STOPPED] != DETERMINED)

    @property
    def damaged(self) -> bool:
        """The bytes are such that no encoder wrote them."""
        return bool(self._state[STOPPED] == DAMAGED)

    def take(self, row: np.ndarray) -> int | None:
        """One symbol of a cumulative row (0, ..., 65536); None if it is not settled."""
        symbol = -1 if self.stopped else int(_take(self._state, self._data, np.asarray(row, dtype=np.int64)))
        return None if symbol < 0 else symbol

    def take_bits(self, count: int) -> int | None:
        value = -1 if self.stopped else int(_take_bits(self._state, self._data, count, _BIT))
        return None if value < 0 else value

    def take_values(self, rows: np.ndarray, tables: Tables) -> tuple[np.ndarray, np.ndarray]:
        """As many values under rows ``rows`` as are settled.

        Returns them, at most len(rows), and for each the fewest bytes of the stream that settle it (int64 both).
        """
        rows = np.asarray(rows, dtype=np.int64)
        out, needed = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
        count = 0
        if not self.stopped:
            t = tables
            count = _take_values(self._state, self._data, rows, t.cumulative, t.begins, t.lows, _BIT, out, needed)
        return out[:count], needed[:count]
