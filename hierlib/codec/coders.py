"""The two coders that the walk is walked with in use: push and pop. (The third, likelihoods, is for training.)

For each block the stream holds: a flag (nearly free) for exceptions, the exceptions, an 8-bit check, the symbols.
Which symbols, in which order and under which rows of the tables is the block's own affair: ``Block`` has one a
coefficient, the peers' blocks (baselines) several, of which the later depend on the earlier.

*Exceptions.* Two machines may differ by 1e-12 in log sigma or mu. Where that could change an integer (within GUARD of
an edge), the encoder writes the integer it used. *Check.* A running CRC over size, z, and all integers so far: a
damaged stream or a machine that disagrees is found before a block's symbols are misread, not shown as noise.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..errors import BitstreamError
from .order import coding_order
from .rangecoder import LARGEST, Decoder, Encoder
from .tables import SCALES, TOTAL, Tables, scale_index, scale_position

MU_GRID = 256  # mu is rounded to multiples of 1/256 before it is used or enters a later context
GUARD = 1e-9
NO_EXCEPTION = np.array([0, TOTAL - 1, TOTAL])
COUNT_BITS, PLACE_BITS, INDEX_BITS, MU_BITS, CHECK_BITS = 24, 32, 6, 40, 8
MU_LIMIT = 2 ** (MU_BITS - 1) - 1


@dataclass
class Block:
    """One block of one picture as integers, in coding order where it says so.

    index, mu: (C, h, w) int64, scale index and mu in units of 1/MU_GRID. order: (n,) flat positions as coded.
    q: values received, in coding order, at most n. needed_bytes: of the payload, to settle each. begun_bytes: to
    settle everything before the first symbol; None if that is not settled.
    """

    index: np.ndarray
    mu: np.ndarray
    order: np.ndarray
    q: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    needed_bytes: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    begun_bytes: int | None = None

    @classmethod
    def of(cls, index: np.ndarray, mu: np.ndarray) -> Block:
        """With nothing received."""
        return cls(index, mu, coding_order(index))

    @property
    def size(self) -> int:
        """How many symbols it has."""
        return self.index.size

    @property
    def complete(self) -> bool:
        return len(self.q) == self.size

    @cached_property
    def rows(self) -> np.ndarray:
        """The scale index of each symbol, in coding order: its row of the tables."""
        return self.index.ravel()[self.order]

    def next_rows(self) -> np.ndarray:
        """Rows of the next symbols, of as many as are known before one of them is received; none once complete."""
        return self.rows[len(self.q) :]

    def rows_of(self, tables: Tables) -> Tables:
        """Whose rows ``next_rows`` are: the codec's, unless a block makes its own."""
        return tables

    def quantised(self, residual: np.ndarray) -> np.ndarray:
        """y - mu (C, h, w) float64 -> (n,) the integers that ``next_symbols`` is asked with, in flat order."""
        return quantised_values(residual).ravel()

    def next_symbols(self, values: np.ndarray) -> np.ndarray:
        """What an encoder puts under ``next_rows``. values: (n,) integers, round(y - mu), in flat order."""
        return values[self.order[len(self.q) :]]

    def ideal_bits(self, tables: Tables) -> float:
        """Of the symbols received, under the integer tables; ``tables`` as in ``rows_of``."""
        return tables.ideal_bits(self.q, self.rows)

    def receive(self, q: np.ndarray, needed_bytes: np.ndarray) -> None:
        """The first of the next symbols. Raises BitstreamError where they are none that an encoder writes."""
        self.q, self.needed_bytes = np.append(self.q, q), np.append(self.needed_bytes, needed_bytes)

    def levels(self, count: int) -> int:
        """How many levels are complete with the first ``count`` symbols: a block is one."""
        return int(count == self.size)

    @property
    def level_ends(self) -> list[int]:
        """Bytes of the payload after which each complete level of the block is complete."""
        return [int(self.needed_bytes[-1])] if self.complete else []

    def values(self, count: int | None = None) -> np.ndarray:
        """y_hat of the block, (C, h, w) float64: q + mu where received (the first ``count`` symbols), mu elsewhere."""
        q = self.q[:count]
        y_hat = self.mu.ravel() / MU_GRID
        y_hat[self.order[: len(q)]] += q
        return y_hat.reshape(self.mu.shape)


Record = Callable[[np.ndarray, np.ndarray], Block]  # index, mu -> a block of which nothing is received
Integers = Callable[[Tensor, Tensor], tuple[np.ndarray, np.ndarray, np.ndarray]]  # as ``integers``


class Check:
    """A running CRC-32 over integers, of which each block's check sends eight bits."""

    def __init__(self, *header: int):
        self.crc = 0
        self.add(np.array(header))

    def add(self, *arrays: np.ndarray) -> int:
        for array in arrays:
            self.crc = zlib.crc32(np.ascontiguousarray(array, dtype="<i8").tobytes(), self.crc)
        return self.crc & (1 << CHECK_BITS) - 1


def integers(log_sigma: Tensor, mu: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Float64 parameters (1, C, h, w) -> index, mu on its grid, and which are too near an edge to be sure of."""
    position = scale_position(log_sigma[0].detach().cpu().numpy())
    fine = np.nan_to_num(mu[0].detach().cpu().numpy() * MU_GRID)
    grid = np.rint(np.clip(fine, -MU_LIMIT, MU_LIMIT)).astype(np.int64)
    edge = np.rint(position)
    near = (np.abs(position - edge) < GUARD) & (edge >= 0) & (edge < SCALES - 1)
    near |= np.abs(np.abs(fine - np.floor(fine)) - 0.5) < GUARD
    return scale_index(position), grid, near


def quantised_values(residual: np.ndarray) -> np.ndarray:
    """Float64 residuals -> the nearest integers, within what the coder carries; NaN counts as 0."""
    return np.clip(np.rint(np.nan_to_num(residual)), -LARGEST, LARGEST).astype(np.int64)


class EncodingCoder:
    """Pushes each block of y, a (1, M, h, w) tensor, to an Encoder.

    ``blocks`` keeps what was pushed, ``parameters`` the (log_sigma, mu) of each. A peer whose index says more than the
    scale has ``integers`` of its own, and ``index_bits`` for its exceptions.
    """

    def __init__(
        self, y: Tensor, slices: list[tuple[int, int]], tables: Tables, encoder: Encoder, check: Check,
        record: Record = Block.of,
    ):  # fmt: skip
        self.y, self.slices, self.tables, self.encoder, self.check = y, slices, tables, encoder, check
        self.record = record
        self.integers: Integers = integers
        self.index_bits = INDEX_BITS
        self.blocks: list[Block] = []
        self.parameters: list[tuple[Tensor, Tensor]] = []

    @property
    def ideal_bits(self) -> float:
        """Of all symbols so far, under the integer tables."""
        return sum(block.ideal_bits(self.tables) for block in self.blocks)

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        low, high = self.slices[block]
        index, grid, near = self.integers(log_sigma, mu)
        self._write_exceptions(index, grid, near)
        self.encoder.put_bits(self.check.add(index, grid), CHECK_BITS)
        y = self.y[0, low:high].detach().cpu().numpy().astype(np.float64)
        self.parameters.append((log_sigma, mu))
        part = self.record(index, grid)
        return self._push(part, part.quantised(y - grid / MU_GRID)).to(mu)

    def _push(self, part: Block, values: np.ndarray) -> Tensor:
        """The symbols of a block, of integers in flat order; returns its y_hat."""
        while len(rows := part.next_rows()):
            q = part.next_symbols(values)
            self.encoder.put_values(q, rows, part.rows_of(self.tables))
            part.receive(q, q)  # the bytes that each needs are known when they are all written
        self.check.add(part.q)
        self.blocks.append(part)
        return torch.from_numpy(part.values())[None]

    def _write_exceptions(self, index: np.ndarray, grid: np.ndarray, near: np.ndarray) -> None:
        places = np.flatnonzero(near)
        if len(places) == 0:
            self.encoder.put(0, TOTAL - 1)
            return
        self.encoder.put(TOTAL - 1, 1)
        self.encoder.put_bits(len(places), COUNT_BITS)
        for place in places:
            self.encoder.put_bits(int(place), PLACE_BITS)
            self.encoder.put_bits(int(index.flat[place]), self.index_bits)
            self.encoder.put_bits(int(grid.flat[place]) + MU_LIMIT, MU_BITS)


class DecodingCoder:
    """Pops from a Decoder what is settled; ``blocks`` keeps what was received. Goes on where it stopped.

    ``integers``, ``index_bits``: as in EncodingCoder.
    """

    def __init__(self, tables: Tables, decoder: Decoder, check: Check, record: Record = Block.of):
        self.tables, self.decoder, self.check, self.record = tables, decoder, check, record
        self.integers: Integers = integers
        self.index_bits = INDEX_BITS
        self.blocks: list[Block] = []

    @property
    def waiting(self) -> bool:
        """Whether bytes are missing for what the walk asked for last."""
        return not self.blocks[-1].complete

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor | None:
        if block == len(self.blocks):
            self.blocks.append(self._new(log_sigma, mu))
        if self.blocks[block].begun_bytes is None:
            self._begin(block)
        part = self.blocks[block]
        while part.begun_bytes is not None and len(rows := part.next_rows()):
            q, needed = self.decoder.take_values(rows, part.rows_of(self.tables))
            part.receive(q, needed)
            if len(q) < len(rows):
                break
        if self.decoder.damaged:
            raise BitstreamError(
                f"The bytes of block {block + 1} are none that an encoder writes: the stream is damaged."
            )
        if not part.complete:
            return None
        self.check.add(part.q)
        return torch.from_numpy(part.values())[None].to(mu)

    def _new(self, log_sigma: Tensor, mu: Tensor) -> Block:
        """A block of these parameters as this machine has them, without exceptions."""
        index, grid, _ = self.integers(log_sigma, mu)
        return self.record(index, grid)

    def _begin(self, block: int) -> None:
        """Exceptions and check; nothing of it is kept unless all of it is settled."""
        part, mark = self.blocks[block], self.decoder.mark()
        index, grid = part.index.copy(), part.mu.copy()
        settled = self._read_exceptions(index, grid)
        sent = self.decoder.take_bits(CHECK_BITS) if settled else None
        if sent is None:
            self.decoder.rewind(mark)
            return
        if sent != self.check.add(index, grid):
            raise BitstreamError(
                f"The check before block {block + 1} does not match: the stream is damaged, or this machine computes "
                "other scales than the one that encoded it. Copy the stream again; if that does not help, report it."
            )
        self.blocks[block] = part = self.record(index, grid)
        part.begun_bytes = self.decoder.needed_bytes

    def _read_exceptions(self, index: np.ndarray, grid: np.ndarray) -> bool:
        """Apply the exceptions to index and grid; False if they are not settled."""
        flag = self.decoder.take(NO_EXCEPTION)
        if not flag:
            return flag is not None
        count = self.decoder.take_bits(COUNT_BITS)
        if count is not None and count > index.size:
            raise BitstreamError("A block lists more exceptions than it has symbols: the stream is damaged.")
        for _ in range(count or 0):
            place, row = self.decoder.take_bits(PLACE_BITS), self.decoder.take_bits(self.index_bits)
            mu = self.decoder.take_bits(MU_BITS)
            if place is None or row is None or mu is None:
                return False
            if place >= index.size:
                raise BitstreamError("An exception lies outside of its block: the stream is damaged.")
            index.flat[place], grid.flat[place] = row, mu - MU_LIMIT
        return count is not None
