"""EfficientPIC: efficient progressive image compression with variance-aware masking (Presta, Tartaglione, Fiandrotti,
Grangetto, Cosman; WACV 2025, 2411.10185).

    y = [y_b | y_t] = g_a(x)   two latents of M channels: base and top
    base, slice by slice:   log_sigma, mu = H_i([P_b; the first five decoded slices])         x_hat = g_s[0](y_b)
    top, all of it at once: log_sigma_i, mu_i = cc_i([P_t; y_hat_b of the slice; the first five *predictions*])
                            its mean is a y_hat_b + mu_i; y_t is sent as round(y_t - a y_hat_b - mu_i)
    mask of share q         of every slice the q largest sigma; what is masked stands at its mean    x_hat = g_s[1](y_t)
    rate enhancement (REM)  once the first eighth has come, a network sees what it says and refines the (log_sigma, mu)
                            of all that has not

Since the top's context holds the base and predictions, never decoded top symbols, every scale of the top is known
before its first symbol: any order and any cut decodes. That is the paper's own idea. What its code does not do, and a
file for all cuts needs: masks are ranks of integer scale indices (ties by the codec's spread table), taken from all
slices in turn, so that the masks of all q lie inside each other and one stream holds them; the paper's are quantiles of
floats, each level a string of its own.

The gain a of each channel is 1 in the paper; here it is learned, and starts as the ratio of the steps that both latents
start with, so that an untrained top already refines its base. Left out: latent residual prediction, which adds to y
what a symbol that has not come cannot support. One REM, as in the paper's weights. The base is one level of quality; a
cut inside it shows the slices that are there. The weights come from the recipes efficientpic64-start, -rd and
efficientpic64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..codec.coders import Block, Check, DecodingCoder, EncodingCoder
from ..codec.likelihood import LikelihoodCoder
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..codec.order import coding_order
from ..codec.rangecoder import Decoder, Encoder
from ..codec.tables import SCALES
from ..codec.transforms import block_slices
from .lessons import Lessons, Shown
from .two_latents import EfficientPICNetwork, TwoLayerPath

CHECKPOINT = 8  # the REM comes after one eighth of each slice


def first_part(size: int) -> int:
    """How many symbols of a slice of ``size`` come before the REM."""
    return -(-size // CHECKPOINT)


# -- the masks


def mask_order(index: np.ndarray, slices: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """(M, h, w) scale indices -> flat positions in an order of which the first share q of every slice is its mask, and
    the rank of each inside its slice: by index, largest first; slices take turns.
    """
    places, fractions, ranks = [], [], []
    area = index[0].size
    common = math.lcm(*(high - low for low, high in slices))
    for low, high in slices:
        places.append(low * area + coding_order(index[low:high]))
        ranks.append(np.arange((high - low) * area))
        fractions.append((ranks[-1] + 1) * (common // (high - low)))
    turns = np.argsort(np.concatenate(fractions), kind="stable")
    return np.concatenate(places)[turns], np.concatenate(ranks)[turns]


class TopBlock(Block):
    """A part of the top: of every slice the symbols before the REM, or (``sent``: the part before) those after it."""

    def __init__(
        self, index: np.ndarray, mu: np.ndarray, slices: Sequence[tuple[int, int]], sent: TopBlock | None = None
    ):
        area = index[0].size
        firsts = np.concatenate([np.full(high - low, first_part((high - low) * area)) for low, high in slices])
        key = index.copy()
        if sent is not None:
            key.flat[sent.order] = SCALES  # they keep the first ranks: masks go on where they stopped
        order, ranks = mask_order(key, slices)
        first = ranks < firsts[order // area]
        super().__init__(index, mu, order[first if sent is None else ~first])
        self.sent = sent

    @property
    def size(self) -> int:
        return len(self.order)

    def values(self, count: int | None = None) -> np.ndarray:
        """y_hat of all of the top: of the part before what it says, and of the rest the means as they are now."""
        y_hat = super().values(count).ravel()
        if self.sent is not None:
            y_hat[self.sent.order] = self.sent.values().ravel()[self.sent.order]
        return y_hat.reshape(self.mu.shape)


# -- training


def ranks_in_slices(log_sigma: Tensor, slices: Sequence[tuple[int, int]]) -> Tensor:
    """(B, M, h, w) -> of each element inside its slice, by sigma, largest first: 0, 1, ..."""
    ranks = []
    for low, high in slices:
        flat = log_sigma[:, low:high].flatten(1)
        order = flat.argsort(1, descending=True)
        plain = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
        ranks.append(torch.zeros_like(order).scatter(1, order, plain).view(len(flat), high - low, *log_sigma.shape[2:]))
    return torch.cat(ranks, 1)


class MaskCoder(LikelihoodCoder):
    """Likelihoods of all blocks; of the top's parts also what is sent before the REM, and the ranks of all elements."""

    def __init__(self, gaussian: nn.Module, y: Tensor, slices: list[tuple[int, int]]):
        M = slices[-1][1]
        super().__init__(gaussian, y, [*slices, (M, 2 * M), (M, 2 * M)])
        self.base_slices = slices
        sizes = torch.tensor([high - low for low, high in slices for _ in range(low, high)], device=y.device)
        self.sizes = (sizes * y[0, 0].numel())[:, None, None]  # symbols of each channel's slice
        self.ranks: list[Tensor] = []
        self.sent = torch.zeros(0, dtype=torch.bool)

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        y_hat = super().code_block(block, log_sigma, mu)
        if block < len(self.base_slices):
            return y_hat
        key = log_sigma.detach()
        if self.ranks:
            key = torch.where(self.sent, math.inf, key)
            y_hat = torch.where(self.sent, self.blocks[-2]["y_hat"], y_hat)
        else:
            self.sent = ranks_in_slices(key, self.base_slices) < -(-self.sizes // CHECKPOINT)
            y_hat = torch.where(self.sent, y_hat, mu)
        self.ranks.append(ranks_in_slices(key, self.base_slices))
        return y_hat

    def masked(self, share: float) -> Tensor:
        """y_t as it is shown after the mask of ``share`` in [0, 1]."""
        first, rest = self.blocks[-2:]
        if share <= 1 / CHECKPOINT:
            return torch.where(self.ranks[0] < share * self.sizes, first["y_hat"], first["mu"])
        later = torch.where(self.ranks[1] < share * self.sizes, rest["y_hat"], rest["mu"])
        return torch.where(self.sent, first["y_hat"], later)

    def bits(self) -> tuple[Tensor, Tensor, Tensor]:
        """(B,) each: of the base, of the top before the REM, and after it."""
        *base, first, rest = (block["bits"] for block in self.blocks)
        parts = (torch.cat(base, 1), first * self.sent, rest * ~self.sent)
        return parts[0].sum((1, 2, 3)), parts[1].sum((1, 2, 3)), parts[2].sum((1, 2, 3))


class ThreeStages(Lessons):
    """Both ends together; then the top's synthesis under random masks; then the REM, for its rate alone."""

    stages = 3

    def shown(self, network: HierNetwork, x: Tensor, stage: int) -> list[Shown]:
        y = network.analyse(x)
        z_hat, bits_of_z = self.hyper(network.h_a(y))
        coder = MaskCoder(self.gaussian, y, block_slices(network.config.blocks))
        network.entropy.walk(z_hat, coder)
        base = torch.cat([block["y_hat"] for block in coder.blocks[:-2]], 1)
        bits_z = bits_of_z.sum((1, 2, 3))
        bits_base, bits_first, bits_rest = coder.bits()
        share = 1.0
        if stage == 1:  # many small ones, as the paper draws them
            share = torch.rand(1).item() * 0.15 if torch.rand(1).item() < 0.8 else 0.15 + 0.85 * torch.rand(1).item()
        x_hat = network.synthesise(torch.cat([base, coder.masked(share)], 1))
        if stage == 1:
            return [Shown(x_hat, torch.zeros_like(bits_z), -1)]
        if stage == 2:
            return [Shown(x_hat, bits_rest, -1, share=0.0)]
        # the paper's loss: bits of both, z twice, the mean of both errors
        return [
            Shown(network.synthesise(base), bits_base + bits_z, 0, share=0.5),
            Shown(x_hat, bits_first + bits_rest + bits_z, -1, share=0.5),
        ]

    def taught(self, network: HierNetwork, stage: int) -> Iterable[nn.Parameter]:
        rem, top = cast(TwoLayerPath, network.entropy).rem, cast(nn.ModuleList, network.g_s)[1]
        if stage:
            return (top if stage == 1 else rem).parameters()
        return {*network.parameters()} - {*rem.parameters()}


# -- the codec


class TwoLayerEncoder(EncodingCoder):
    """Each block as its number says."""

    codec: EfficientPIC

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        self.record = partial(self.codec.part, block, self.blocks)
        return super().code_block(block, log_sigma, mu)


class TwoLayerDecoder(DecodingCoder):
    """Each block as its number says."""

    codec: EfficientPIC

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor | None:
        self.record = partial(self.codec.part, block, self.blocks)
        return super().code_block(block, log_sigma, mu)


class EfficientPIC(HierCodec):
    """Levels: each slice of the base, the top's first eighth, and its rest."""

    method = "efficientpic"
    networks, lessons = EfficientPICNetwork, ThreeStages

    def __init__(self, network: HierNetwork, *parts: Any):
        super().__init__(network, *parts)
        M = network.config.M
        self.base_slices = self.slices
        self.slices = [*self.base_slices, (M, 2 * M), (M, 2 * M)]

    def part(self, number: int, before: Sequence[Block], index: np.ndarray, mu: np.ndarray) -> Block:
        """Block ``number`` of a stream, of which nothing is received. before: the blocks so far, perhaps with it."""
        beyond = number - len(self.base_slices)
        if beyond < 0:
            return Block.of(index, mu)
        return TopBlock(index, mu, self.base_slices, cast(TopBlock, before[number - 1]) if beyond else None)

    def encoding_coder(self, y: Tensor, z: Tensor, encoder: Encoder, check: Check) -> TwoLayerEncoder:
        coder = TwoLayerEncoder(y, self.slices, self.y_tables, encoder, check)
        coder.codec = self
        return coder

    def decoding_coder(self, decoder: Decoder, check: Check, places: tuple[int, int]) -> TwoLayerDecoder:
        coder = TwoLayerDecoder(self.y_tables, decoder, check)
        coder.codec = self
        return coder

    def show(self, values: Sequence[np.ndarray], height: int, width: int) -> Tensor:
        """The base's picture until the top begins; then the top's."""
        M, count = self.network.config.M, len(self.base_slices)
        y_hat = np.zeros((M, *values[0].shape[1:]), dtype=np.float32)
        known = values[:count]
        y_hat[: sum(map(len, known))] = np.concatenate(known)
        if len(values) > count:
            y_hat = np.concatenate([y_hat, values[-1].astype(np.float32)])
        return self.synthesise(y_hat, height, width)

    def symbols_total(self, blocks: Sequence[Block], places: int) -> int:
        return 2 * self.network.config.M * places
