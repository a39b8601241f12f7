"""A range coder whose streams may be cut at any byte, and whose decoder goes on when more bytes come.

Byte-wise, carry-propagating (as in LZMA), 32-bit range, integer frequencies that sum to 2^16. What is ours is the
**determined-symbol rule**: bytes that are missing are an interval, and a symbol is returned only if every completion
of the bytes decodes to it. So no cut ever yields a wrong symbol, and none that the bytes settle is withheld.

Symbols come as rows of a table of cumulative frequencies; a row ends in an escape symbol, after which the excess is
sent as an Exp-Golomb number in plain bits, so outliers cost bits but are never clamped.

The loops are compiled by numba (cached beside the package). constriction and CompressAI's rANS are the oracles in the
tests. FORMAT.md says the same in words.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .tables import TOTAL, Tables

PRECISION = 16
TOP = 1 << 24
HALF = TOTAL // 2
MAX_ESCAPE_BITS = 24  # a longer escape is damage: what is coded is bounded by LARGEST
LARGEST = (1 << (MAX_ESCAPE_BITS - 2)) - 1  # the largest magnitude that every row can carry

# encoder state: low end and width of the interval, bytes written
LOW, WIDTH, LENGTH = range(3)
# decoder state: offset of the bytes in the interval, its width, bytes shifted in (real or missing), the fewest bytes
# that settle all that was taken, the last four bytes shifted in, and why it stopped
CODE, RANGE, POSITION, NEEDED, RECENT, STOPPED = range(6)
DETERMINED, UNDETERMINED, DAMAGED = 0, 1, 2
ROOM = 32  # bytes that one value may take at most, with its escape: 2 + (2 * 24 + 1) / 8, and carries


@njit(cache=True)
def _carry(out: np.ndarray, length: int) -> None:
    """Add one to the number that the first ``length`` bytes spell."""
    at = length - 1
    while out[at] == 255:
        out[at] = 0
        at -= 1
    out[at] += 1


@njit(cache=True)
def _put(state: np.ndarray, out: np.ndarray, start: int, size: int) -> None:
    """Narrow the interval to [start, start + size) of 2^16."""
    low, width, length = state[LOW], state[WIDTH], state[LENGTH]
    unit = width >> PRECISION
    low += unit * start
    width = unit * size
    if low > 0xFFFFFFFF:
        low &= 0xFFFFFFFF
        _carry(out, length)
    while width < TOP:
        out[length] = low >> 24
        length += 1
        low = (low << 8) & 0xFFFFFFFF
        width <<= 8
    state[LOW], state[WIDTH], state[LENGTH] = low, width, length


@njit(cache=True)
def _put_bits(state: np.ndarray, out: np.ndarray, value: int, count: int) -> None:
    for shift in range(count - 1, -1, -1):
        _put(state, out, (value >> shift & 1) * HALF, HALF)


@njit(cache=True)
def _put_values(
    state: np.ndarray, out: np.ndarray, values: np.ndarray, rows: np.ndarray, cumulative: np.ndarray,
    begins: np.ndarray, lows: np.ndarray,
) -> int:  # fmt: skip
    """Code values[i] under row rows[i]; returns how many, fewer than all where ``out`` is full."""
    for i in range(len(values)):
        if state[LENGTH] + ROOM > len(out):
            return i
        begin = begins[rows[i]]
        escape = begins[rows[i] + 1] - begin - 2
        symbol = values[i] - lows[rows[i]]
        outside = symbol < 0 or symbol >= escape
        at = begin + (escape if outside else symbol)
        _put(state, out, cumulative[at], cumulative[at + 1] - cumulative[at])
        if outside:  # 0, 1, 2, ... = just above the row, just below it, above by two, ...
            number = (2 * (symbol - escape) if symbol >= escape else 2 * (-1 - symbol) + 1) + 1
            length = 0
            while number >> (length + 1):
                length += 1
            _put_bits(state, out, 0, length)  # ``length`` zeros, then the number, which begins with a one
            _put_bits(state, out, number, length + 1)
    return len(values)


@njit(cache=True)
def _finish(state: np.ndarray, out: np.ndarray) -> int:
    """End the stream with the fewest bytes that settle every symbol whatever follows them; returns its length."""
    low, width, length = state[LOW], state[WIDTH], state[LENGTH]
    for count in range(5):
        unknown = (1 << (8 * (4 - count))) - 1
        value = (low + unknown) & ~unknown
        if value + unknown < low + width:
            if value > 0xFFFFFFFF:
                value &= 0xFFFFFFFF
                _carry(out, length)
            for b in range(count):
                out[length + b] = (value >> (24 - 8 * b)) & 255
            return length + count
    return -1  # cannot happen: width >= 2^24 leaves room for 4 known bytes


class Encoder:
    """Codes values and bits into a growing buffer; ``finish`` gives the bytes."""

    def __init__(self) -> None:
        self._state = np.array([0, 0xFFFFFFFF, 0], dtype=np.int64)
        self._out = np.zeros(1024, dtype=np.uint8)
        self._begun = False

    @property
    def length_bytes(self) -> int:
        """Bytes written so far; up to four more follow when it is finished now."""
        return int(self._state[LENGTH])

    def put(self, start: int, size: int) -> None:
        """One interval [start, start + size) of 2^16."""
        self._make_room()
        _put(self._state, self._out, start, size)

    def put_bits(self, value: int, count: int) -> None:
        """The low ``count`` bits of ``value``, highest first, at most 64; one bit each."""
        self._make_room()
        _put_bits(self._state, self._out, value, count)

    def put_values(self, values: np.ndarray, rows: np.ndarray, tables: Tables) -> None:
        """(n,) integers, magnitudes at most LARGEST, each under its row of ``tables``."""
        values, rows = np.asarray(values, dtype=np.int64), np.asarray(rows, dtype=np.int64)
        done, t = 0, tables
        while done < len(values):
            self._make_room()
            done += _put_values(
                self._state, self._out, values[done:], rows[done:], t.cumulative, t.begins, t.lows
            )  # fmt: skip

    def finish(self) -> bytes:
        """What was put as bytes, no more of them than settle all of it."""
        if not self._begun:
            return b""
        state, out = self._state.copy(), self._out.copy()
        return out[: _finish(state, out)].tobytes()

    def _make_room(self) -> None:
        self._begun = True
        if self._state[LENGTH] + 2 * ROOM > len(self._out):
            self._out = np.concatenate([self._out, np.zeros_like(self._out)])


@njit(cache=True)
def _step(
    code: int, width: int, position: int, needed: int, recent: int,
    data: np.ndarray, cumulative: np.ndarray, begin: int, end: int,
) -> tuple[int, int, int, int, int, int]:  # fmt: skip
    """Decode one symbol of the row cumulative[begin:end]: the symbol, and what the decoder's state becomes.

    Instead of a symbol -1 - UNDETERMINED or -1 - DAMAGED; what comes with it is then not to be used.
    """
    unit = width >> PRECISION
    if code >= unit << PRECISION:  # beyond every interval, and missing bytes only add: no encoder writes this
        return -1 - DAMAGED, code, width, position, needed, recent
    low, high = begin, end - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if cumulative[middle] * unit <= code:
            low = middle
        else:
            high = middle
    start, stop = cumulative[low] * unit, cumulative[low + 1] * unit
    # the fewest bytes that settle it: as many as before if the interval holds whatever came behind those
    unknown = (1 << (8 * min(4, position - needed))) - 1
    floor = code - (recent & unknown)
    while floor < start or floor + unknown >= stop:
        needed = max(needed, position - 4) + 1
        unknown = (1 << (8 * (position - needed))) - 1
        floor = code - (recent & unknown)
    if needed > len(data):
        return -1 - UNDETERMINED, code, width, position, needed, recent
    code -= start
    width = stop - start
    while width < TOP:
        byte = data[position] if position < len(data) else 0
        code = (code << 8) | byte
        recent = ((recent << 8) | byte) & 0xFFFFFFFF
        width <<= 8
        position += 1
    return low - begin, code, width, position, needed, recent


@njit(cache=True)
def _take(state: np.ndarray, data: np.ndarray, cumulative: np.ndarray, begin: int, end: int) -> int:
    """Decode one symbol of the row cumulative[begin:end]; -1 if the bytes do not settle it (STOPPED says why)."""
    symbol, code, width, position, needed, recent = _step(
        state[CODE], state[RANGE], state[POSITION], state[NEEDED], state[RECENT], data, cumulative, begin, end
    )
    if symbol < 0:
        state[STOPPED] = -1 - symbol
        return -1
    state[CODE], state[RANGE], state[POSITION], state[NEEDED], state[RECENT] = code, width, position, needed, recent
    return symbol


_BIT = np.array([0, HALF, TOTAL], dtype=np.int64)


@njit(cache=True)
def _take_bits(state: np.ndarray, data: np.ndarray, count: int, bit: np.ndarray) -> int:
    value = 0
    for _ in range(count):
        found = _take(state, data, bit, 0, 3)
        if found < 0:
            return -1
        value = 2 * value + found
    return value


@njit(cache=True)
def _take_escape(state: np.ndarray, data: np.ndarray, bit: np.ndarray) -> int:
    """How far a value lies outside its row, sides folded: 0 just above it, 1 just below it, 2 above by one more, ..."""
    length = 0
    found = _take(state, data, bit, 0, 3)
    while found == 0 and length < MAX_ESCAPE_BITS:
        length += 1
        found = _take(state, data, bit, 0, 3)
    if found == 0:
        state[STOPPED] = DAMAGED
    rest = _take_bits(state, data, length, bit) if found == 1 else 0
    return (1 << length) + rest - 1


@njit(cache=True)
def _take_values(
    state: np.ndarray, data: np.ndarray, rows: np.ndarray, cumulative: np.ndarray, begins: np.ndarray, lows: np.ndarray,
    bit: np.ndarray, out: np.ndarray, needed: np.ndarray,
) -> int:  # fmt: skip
    """Decode out[i] under row rows[i], noting the bytes that takes; returns how many were settled.

    The state is left before the first value that is not settled, half an escape included, so that it can go on.
    """
    code, width, position = state[CODE], state[RANGE], state[POSITION]
    settled, recent = state[NEEDED], state[RECENT]
    unknown = (1 << (8 * min(4, position - settled))) - 1
    floor = code - (recent & unknown)
    done = 0
    while done < len(rows):
        row = rows[done]
        begin, end = begins[row], begins[row + 1]
        # mostly it is the symbol in the middle of its row, by bytes that were needed before, and none is shifted in
        middle = begin + max(0, (end - begin - 3) >> 1)
        unit = width >> PRECISION
        start, stop = cumulative[middle] * unit, cumulative[middle + 1] * unit
        settles = start <= floor and floor + unknown < stop and settled <= len(data)
        if settles and stop - start >= TOP and middle < end - 2:
            code, floor, width = code - start, floor - start, stop - start
            out[done], needed[done] = lows[row] + middle - begin, settled
            done += 1
            continue
        symbol, c, w, p, n, r = _step(code, width, position, settled, recent, data, cumulative, begin, end)
        if symbol < 0:
            state[STOPPED] = -1 - symbol
            break
        value = lows[row] + symbol
        if symbol == end - begin - 2:
            state[CODE], state[RANGE], state[POSITION], state[NEEDED], state[RECENT] = c, w, p, n, r
            beyond = _take_escape(state, data, bit)
            if state[STOPPED] != DETERMINED:
                break
            value = value + beyond // 2 if beyond % 2 == 0 else lows[row] - 1 - beyond // 2
            c, w, p, n, r = state[CODE], state[RANGE], state[POSITION], state[NEEDED], state[RECENT]
        code, width, position, settled, recent = c, w, p, n, r
        out[done], needed[done] = value, settled
        unknown = (1 << (8 * min(4, position - settled))) - 1
        floor = code - (recent & unknown)
        done += 1
    state[CODE], state[RANGE], state[POSITION], state[NEEDED], state[RECENT] = code, width, position, settled, recent
    return done


class Decoder:
    """Reads what the bytes settle. What is not settled stays to be read once ``extend`` brought more of them.

    needed_bytes: the fewest bytes of the stream that settle all that was read so far.
    """

    def __init__(self, prefix: bytes = b""):
        self._buffer, self._data = np.zeros(64, dtype=np.uint8), np.zeros(0, dtype=np.uint8)
        self._state = np.zeros(6, dtype=np.int64)
        self._state[RANGE], self._state[POSITION] = 0xFFFFFFFF, 4
        self.extend(prefix)

    def extend(self, chunk: bytes) -> None:
        """More bytes of the stream. Those that were already shifted in as missing take their places."""
        if not chunk:
            return
        had = len(self._data)
        length = had + len(chunk)
        if length > len(self._buffer):
            self._buffer = np.concatenate([self._data, np.zeros(length, dtype=np.uint8)])
        self._buffer[had:length] = np.frombuffer(chunk, dtype=np.uint8)
        self._data = self._buffer[:length]
        position = int(self._state[POSITION])
        for at in range(had, min(position, len(self._data))):
            place = int(self._data[at]) << (8 * (position - 1 - at))
            self._state[CODE] += place
            self._state[RECENT] |= place
        if self._state[STOPPED] == UNDETERMINED:
            self._state[STOPPED] = DETERMINED

    def mark(self) -> np.ndarray:
        """Where it stands: give it to ``rewind`` to read again from here. Not valid once ``extend`` was called."""
        return self._state.copy()

    def rewind(self, mark: np.ndarray) -> None:
        """Back to ``mark``, still stopped: only more bytes help."""
        stopped = self._state[STOPPED]
        self._state[:] = mark
        self._state[STOPPED] = stopped

    @property
    def needed_bytes(self) -> int:
        return int(self._state[NEEDED])

    @property
    def stopped(self) -> bool:
        """The next symbol is not settled by the bytes at hand, or the stream is damaged."""
        return bool(self._state[STOPPED] != DETERMINED)

    @property
    def damaged(self) -> bool:
        """The bytes are such that no encoder wrote them."""
        return bool(self._state[STOPPED] == DAMAGED)

    def take(self, row: np.ndarray) -> int | None:
        """One symbol of a cumulative row (0, ..., 65536); None if it is not settled."""
        row = np.asarray(row, dtype=np.int64)
        symbol = -1 if self.stopped else int(_take(self._state, self._data, row, 0, len(row)))
        return None if symbol < 0 else symbol

    def take_bits(self, count: int) -> int | None:
        """A number of ``count`` bits; None if it is not settled."""
        value = -1 if self.stopped else int(_take_bits(self._state, self._data, count, _BIT))
        return None if value < 0 else value

    def take_values(self, rows: np.ndarray, tables: Tables) -> tuple[np.ndarray, np.ndarray]:
        """As many values under rows ``rows`` as are settled.

        Returns them, at most len(rows), and for each the fewest bytes of the stream that settle it (int32 both).
        """
        rows = np.asarray(rows, dtype=np.int64)
        out, needed = np.empty((2, len(rows)), dtype=np.int32)  # new memory costs as much as the decoding
        count = 0
        if not self.stopped:
            t = tables
            count = _take_values(self._state, self._data, rows, t.cumulative, t.begins, t.lows, _BIT, out, needed)
        return out[:count], needed[:count]
