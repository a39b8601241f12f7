"""CTC: context-based trit-plane coding for progressive image compression (Jeon, Choi, Park, Kim; CVPR 2023,
2303.05715).

    planes and order     DPICT's; the order uses the hyperprior's probabilities only
    rate reduction       when a plane begins, a network sees all complete planes, the scales and the means, and says
                         what each element's trit probably is (CRR: one network each for the last three planes; the
                         paper's third serves four planes, of which a small picture has one)
    distortion reduction after each complete plane but the last, a network moves y_hat inside its intervals (CDR)
    decoder              g_s is trained again on what CDR shows

Inside a plane nothing depends on the plane itself, so the trits may come in any order and be cut anywhere. Networks are
a hyperprior codec's worst enemy across machines; so CRR runs in float64 and its two logits become integers, eighths of
a bit, which choose a row of a fixed table. What lies within 1e-9 of an edge is sent as an exception, and an 8-bit check
over the integers comes before each plane, as before each block of the codec.
"""

from __future__ import annotations

import math
import zlib
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..codec.coders import GUARD
from ..codec.network import numbers_in
from ..codec.tables import TOTAL, Tables
from ..errors import BitstreamError, CheckpointError
from .contexts import RATE_PLANES, Contexts, PlaneContext
from .dpict import DPICT
from .intervals import Nested, shares
from .trits import TritBlock

LIMIT, EIGHTHS = 127, 8  # logits, in eighths of a bit, lie in [-LIMIT, LIMIT]
POWERS = np.array([4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512])  # 4096 * 2^(i / 8)
CHECK_BITS, PLACE_BITS, LOGIT_BITS = 8, 32, 8


def context_rows() -> np.ndarray:
    """(255 * 255, 4) frequencies of the trits -1, 0, 1 and the escape, for each pair of integer logits."""
    one = np.arange(-LIMIT, LIMIT + 1)
    lower, upper = (x.ravel() for x in np.meshgrid(one, one, indexing="ij"))
    logits = np.stack([lower, np.zeros_like(lower), upper], 1)
    logits -= logits.min(1, keepdims=True)
    return shares(np.pad(POWERS[logits % EIGHTHS] << (logits // EIGHTHS), ((0, 0), (0, 1))))


class WithContexts(Nested):
    """``Nested`` with more rows: a bit, a number that is nearly always 0, and ``context_rows``."""

    def __init__(self, gaussians: Tables, starts: np.ndarray):
        super().__init__(gaussians, starts)
        own, count = self.tables, len(self.tables.lows)
        rows = [np.diff(own.cumulative[own.begins[i] : own.begins[i + 1]]) for i in range(count)]
        self.bit, self.number, self.contexts = count, count + 1, count + 2
        half = np.array([TOTAL // 2, TOTAL // 2 - 1, 1])
        more = [half, np.array([TOTAL - 1, 1]), *context_rows()]
        self.tables = Tables([*rows, *more], np.concatenate([own.lows, [0, 0], np.full(len(more) - 2, -1)]))
        self.outside = self._uniform


class ContextBlock(TritBlock):
    """A block whose planes begin with exceptions and a check of their probabilities; these are not among ``q``."""

    def __init__(self, index: np.ndarray, mu: np.ndarray, nested: WithContexts, networks: Contexts):
        super().__init__(index, mu, nested, True)
        self.nested: WithContexts = nested
        self.networks = networks
        self._logits = self._near = np.zeros(0, dtype=np.int64)
        self._before = False  # whether it is at the symbols before a plane's own
        self._heard: list[int] = []  # of those

    @torch.no_grad()
    def _begin_plane(self, j: int) -> None:
        super()._begin_plane(j)
        if j >= RATE_PLANES:
            return
        context = PlaneContext(self.nested, self.index, self.mu, j, self._k.reshape(self.index.shape))
        logits = self.networks.logits(_one(context))[0].numpy().reshape(2, -1)
        fine = np.clip(np.nan_to_num(logits) * (EIGHTHS / math.log(2)), -LIMIT, LIMIT)
        self._logits = np.rint(fine).astype(np.int64)
        edge = np.abs(np.abs(fine - np.floor(fine)) - 0.5) < GUARD
        self._near = np.flatnonzero(edge.any(0) & (self._starts >= j))
        self._before, self._heard = True, []

    # -- before the plane's symbols: how many exceptions, each of them in bits, the check in bits

    def _side_count(self) -> int:
        exceptions = self._heard[0] if self._heard else 0
        return 1 + exceptions * (PLACE_BITS + 2 * LOGIT_BITS) + CHECK_BITS

    def next_rows(self) -> np.ndarray:
        rows = super().next_rows()
        if not self._before:
            return rows
        if not self._heard:
            return np.array([self.nested.number])
        return np.full(self._side_count() - len(self._heard), self.nested.bit)

    def next_symbols(self, values: np.ndarray) -> np.ndarray:
        if not self._before:
            return super().next_symbols(values)
        if not self._heard:
            return np.array([len(self._near)])
        bits = [b for place in self._near for b in self._exception(int(place))]
        return np.array([*bits, *_bits(self._check(), CHECK_BITS)])

    def _exception(self, place: int) -> list[int]:
        lower, upper = (int(x) + LIMIT for x in self._logits[:, place])
        return [*_bits(place, PLACE_BITS), *_bits(lower, LOGIT_BITS), *_bits(upper, LOGIT_BITS)]

    def receive(self, q: np.ndarray, needed_bytes: np.ndarray) -> None:
        if not self._before:
            super().receive(q, needed_bytes)
            return
        self._heard += [int(symbol) for symbol in q]
        if self._heard and not 0 <= self._heard[0] <= self.index.size:
            raise BitstreamError("A plane lists more exceptions than it has symbols: the stream is damaged.")
        if any(bit > 1 or bit < 0 for bit in self._heard[1:]):
            raise BitstreamError("A bit before a plane is none: the stream is damaged.")
        if len(self._heard) == self._side_count():
            self._settle()

    def _settle(self) -> None:
        """Exceptions and check are there: the rows of the plane's symbols."""
        size = PLACE_BITS + 2 * LOGIT_BITS
        for at in range(1, 1 + self._heard[0] * size, size):
            place, lower, upper = _number(self._heard[at : at + size])
            if place >= self.index.size or max(lower, upper) > 2 * LIMIT:
                raise BitstreamError("An exception lies outside of its plane: the stream is damaged.")
            self._logits[:, place] = lower - LIMIT, upper - LIMIT
        if self._heard[-CHECK_BITS:] != _bits(self._check(), CHECK_BITS):
            raise BitstreamError(
                "The check before a plane does not match: the stream is damaged, or this machine computes other "
                "probabilities than the one that encoded it. Copy the stream again; if that does not help, report it."
            )
        lower, upper = self._logits[:, self.order] + LIMIT
        rows = self.nested.contexts + lower * (2 * LIMIT + 1) + upper
        self._plane_rows[-1] = np.where(self._plane_rows[-1] == self.nested.outside, self._plane_rows[-1], rows)
        self._before = False

    def _check(self) -> int:
        seen = (self._k, self._logits[:, self.order])
        crc = 0
        for array in seen:
            crc = zlib.crc32(np.ascontiguousarray(array, dtype="<i8").tobytes(), crc)
        return crc & (1 << CHECK_BITS) - 1

    @torch.no_grad()
    def values(self, count: int | None = None) -> np.ndarray:
        """y_hat as CDR has it after the last complete plane, inside what the symbols after it leave."""
        done = int(np.searchsorted(self._ends, len(self.q) if count is None else count, side="right"))
        last = len(self._ends) - done  # the j of the last complete plane
        if done == 0 or last == 0:
            return super().values(count)
        index, mu, j, k = (x.reshape(1, *self.index.shape) for x in (self._index, self.mu, *self.known(count)))
        return self.networks.corrected(self.nested, index, mu, j, k, last)[0].numpy()


def _one(context: PlaneContext) -> PlaneContext:
    """As a batch of one."""
    return PlaneContext(context.nested, context.index[None], context.mu[None], context.j, context.k[None])


def _bits(value: int, count: int) -> list[int]:
    return [value >> shift & 1 for shift in range(count - 1, -1, -1)]


def _number(bits: list[int]) -> tuple[int, int, int]:
    """Place and logits of an exception."""
    text = "".join(map(str, bits))
    ends = (0, PLACE_BITS, PLACE_BITS + LOGIT_BITS, PLACE_BITS + 2 * LOGIT_BITS)
    place, lower, upper = (int(text[a:b], 2) for a, b in pairwise(ends))
    return place, lower, upper


class CTC(DPICT):
    """DPICT with networks; see ``contexts``."""

    method = "ctc"

    intervals = WithContexts
    nested: WithContexts
    contexts: Contexts

    def take(self, tensors: dict[str, Tensor]) -> None:
        """The networks, from the tensors ``context.*`` of a weights file. Raises CheckpointError if they do not fit."""
        found = {k.removeprefix("context."): v for k, v in tensors.items() if k.startswith("context.")}
        try:
            dim = len(found["rate.0.network.0.weight"])
            networks = Contexts(self.network.config.M, dim)
            networks.load_state_dict(found)
        except (RuntimeError, KeyError) as error:
            raise CheckpointError(f"The weights hold no networks for CTC ({error}).") from None
        self.contexts = networks.double().eval().requires_grad_(False)

    @property
    def parameter_counts(self) -> dict[str, int]:
        """As of any codec; an encoder needs the networks of CRR, not those of CDR."""
        counts, rate = super().parameter_counts, numbers_in(self.contexts.rate)
        return {"all": counts["all"] + rate + numbers_in(self.contexts.shown), "encoder": counts["encoder"] + rate}

    def record(self, index: np.ndarray, mu: np.ndarray) -> ContextBlock:
        return ContextBlock(index, mu, self.nested, self.contexts)
