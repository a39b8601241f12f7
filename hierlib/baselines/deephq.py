"""DeepHQ: learned hierarchical quantizer for progressive deep image coding (Lee, Jeong, Kim; 2408.12150).

    z -> sigma, mu of every element      a hyperprior alone: our backbone with one block
    learned hierarchical quantiser       8 levels, each with a learned step for every channel; the interval in which
                                         y - mu lies only shrinks from level to level, to about the level's step, and
                                         what is sent is which part of it, under the Gaussian's mass in the interval
    selective compression                an importance in (0, 1) for every element, by a small network from z; a level
                                         refines those with round(importance^gamma) = 1, gamma learned for every level
                                         and channel. Others stay at mu and cost nothing
    order                                level by level; inside one by sigma, the largest first
    at any cut                           y_hat_e = mu_e + E[y_e - mu_e | the interval received]

Written from the published description alone; the authors' code has not been read. What is ours, or differs:
* *Parts.* A level cuts an interval into the whole number of equal parts whose size is nearest to its step, an odd
  number where the interval holds 0 (``steps``). A step learns as if its parts had its own size (straight-through).
* *The outermost interval* has no ends: an element's first symbol is a bin of the step of the level that selects it
  first, an unbounded alphabet whose outliers are escaped. So no side value has to say how wide it is.
* What is shown is the conditional mean: the centre of the interval is off by all of the Gaussian's slope.
* *One file for any cut and machine.* Steps are multiples of 1/128, intervals and frequencies integers; gamma falls
  from level to level by how it is parametrised, so that masks lie inside each other. The comparison
  importance^gamma >= 1/2 is made once, in float64: at which level an element enters. What lies within 1e-9 of an edge
  is sent as an exception, and the block's check covers it, like the scales.
* The first in order enters at the last level at the latest: no stream is without a symbol.
* TIC's transforms, our hyperprior, coder and container.
* *Training* (recipes deephq64-start, -rd, deephq64): first the finest step alone; then the steps, one random level an
  update, the squared error at lambda / (the level's first step)^2, of which the finest is 1; then the masks as well.
  Schedule and lambdas are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..codec.coders import GUARD, INDEX_BITS, MU_GRID, Check, DecodingCoder, EncodingCoder, integers
from ..codec.config import CodecConfig
from ..codec.entropy import EntropyPath
from ..codec.likelihood import MAX_LOG_SIGMA, LikelihoodCoder
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..codec.rangecoder import LARGEST, Decoder, Encoder
from ..codec.tables import LOG_SIGMA_MIN, SCALES
from ..codec.transforms import block_slices
from . import steps
from .lessons import Lessons, Shown
from .levels import LevelBlock

BASES = (12.0, 8.5, 6.0, 4.25, 3.0, 2.0, 1.5, 1.0)  # the steps that training starts from
LEVELS, ENTRY_BITS = len(BASES), 4
LEAST, MOST = 1 / 4, 128.0  # steps
HIDDEN, FIRST_LOGIT, FIRST_FALL = 64, 2.0, 0.1  # all is selected where training starts


# -- the networks


class Ladder(nn.Module):
    """Steps and exponents of every level and channel. scale: step over ``BASES``, fall: softplus^-1 of how much gamma
    is above the next level's, (LEVELS, M) each.
    """

    bases: Tensor

    def __init__(self, M: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(LEVELS, M))
        with torch.no_grad():  # then these split at the levels where the others do not: BASES fall by about 2^0.5
            self.scale[0, 1::2] = 2**0.5
        self.fall = nn.Parameter(torch.full((LEVELS, M), math.log(math.expm1(FIRST_FALL))))
        self.register_buffer("bases", torch.tensor(BASES)[:, None], persistent=False)

    def sizes(self) -> Tensor:
        """(LEVELS, M) steps, multiples of 2/MU_GRID; straight-through. Exact: a product with a dyadic number."""
        size = (self.scale * self.bases).clamp(LEAST, MOST)
        return size + (torch.round(size * (MU_GRID // 2)) / (MU_GRID // 2) - size).detach()

    def gamma(self) -> Tensor:
        """(LEVELS, M), falling."""
        return F.softplus(self.fall).flip(0).cumsum(0).flip(0)

    def thresholds(self) -> Tensor:
        """(LEVELS, M): the logit from which importance^gamma >= 1/2."""
        nats = math.log(2) / self.gamma()
        return -(nats + torch.log(-torch.expm1(-nats)))


class SelectivePath(EntropyPath):
    """The importance of every element beside its parameters; no context."""

    ladder: Ladder
    importance: nn.Sequential

    def _log_sigma_and_mu(self, P: Tensor, y_hat: Tensor, block: int) -> tuple[Tensor, Tensor]:
        """(B, 2M, h, w): log sigma, then the logit of the importance; and mu."""
        log_sigma, mu = super()._log_sigma_and_mu(P, y_hat, block)
        return torch.cat([log_sigma, self.importance(P)], 1), mu


class DeepHQNetwork(HierNetwork):
    """The backbone with a ladder and an importance."""

    def __init__(self, config: CodecConfig):
        super().__init__(config)
        own, M = self.entropy, config.M
        self.entropy = SelectivePath(own.h_s, own.context, own.parameters_net)
        last = nn.Conv2d(HIDDEN, M, 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(cast(Tensor, last.bias), FIRST_LOGIT)
        self.entropy.importance = nn.Sequential(nn.Conv2d(2 * M, HIDDEN, 1), nn.GELU(), last)
        self.entropy.ladder = Ladder(M)


# -- training


class LadderCoder(LikelihoodCoder):
    """Likelihoods of what the levels from ``begin`` to ``level`` send, with the integers of the stream."""

    def __init__(self, gaussian: nn.Module, y: Tensor, ladder: Ladder, begin: int, level: int, selective: bool):
        super().__init__(gaussian, y, block_slices((y.shape[1],)))
        self.ladder, self.begin, self.level, self.selective = ladder, begin, level, selective

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        log_sigma, importance = log_sigma.chunk(2, 1)
        log_sigma = log_sigma.clamp(LOG_SIGMA_MIN - 3, MAX_LOG_SIGMA)
        gaussian = cast(Any, self.gaussian)
        sigma, residual = gaussian.lower_bound_scale(log_sigma.exp()), self.y - mu
        gamma, sizes = (each[:, :, None, None] for each in (self.ladder.gamma(), self.ladder.sizes()))
        powers = [(F.logsigmoid(importance) * each).exp() for each in gamma]  # importance^gamma
        low, high = self._intervals(residual.detach(), sizes.detach(), [each.detach() for each in powers])
        step = sizes[self.level]
        width = (high - low) / MU_GRID + step - step.detach()
        shown = steps.means(low.double(), high.double(), sigma.detach().double() * MU_GRID).to(mu) / MU_GRID
        y_hat = self.y + width * ((shown - residual) / width).detach()
        if self.training:
            centre = residual + width * (torch.rand_like(width) - 0.5)
        else:
            centre = (low + high) / (2 * MU_GRID)
        likelihood = gaussian.likelihood_lower_bound(_mass(centre.abs(), width, sigma))
        bits = -torch.log2(likelihood)
        if self.selective:
            power = powers[self.level]
            sent = power + (torch.round(power) - power).detach()
            y_hat, bits = mu + sent * (y_hat - mu), sent * bits
        self.blocks.append({"y_hat": y_hat, "mu": mu, "log_sigma": log_sigma, "likelihood": likelihood, "bits": bits})
        return y_hat

    @property
    def training(self) -> bool:
        return self.gaussian.training

    def _intervals(self, residual: Tensor, sizes: Tensor, powers: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Low and high after the last level; what is not selected then, as if it were from now on."""
        value = torch.floor(residual * MU_GRID).clamp(-LARGEST, LARGEST).long()
        grid = (sizes * MU_GRID).round().long()
        low, high = value, value + 1
        begun = torch.zeros_like(value, dtype=torch.bool)
        for level in range(self.begin, self.level + 1):
            selected = powers[level] >= 0.5 if self.selective else torch.ones_like(begun)
            _, *fresh = steps.first(value, grid[level])
            count = steps.parts(low, high, grid[level])
            finer = steps.part(steps.part_of(value, low, high, count), low, high, count)
            new = ~begun & (selected | (level == self.level))
            low, high = (
                torch.where(new, start, torch.where(begun, cut, was))
                for start, cut, was in zip(fresh, finer, (low, high), strict=True)
            )
            begun = begun | selected
        return low, high


def _mass(centre: Tensor, width: Tensor, sigma: Tensor) -> Tensor:
    """Of a Gaussian, within width / 2 of a centre that is not negative."""
    near, far = ((centre + side) / (sigma * math.sqrt(2)) for side in (-width / 2, width / 2))
    return 0.5 * (torch.erfc(near) - torch.erfc(far))


class ThreeStages(Lessons):
    """The finest step; then the steps, one level an update; then the masks too."""

    stages = 3

    def shown(self, network: HierNetwork, x: Tensor, stage: int) -> list[Shown]:
        level = int(torch.randint(LEVELS, ())) if stage else LEVELS - 1
        return [self.at(network, x, level, begin=0 if stage else level, selective=stage == 2)]

    def at(self, network: HierNetwork, x: Tensor, level: int, begin: int = 0, selective: bool = True) -> Shown:
        """As a stream shows x after ``level``."""
        y = network.analyse(x)
        z_hat, bits_z = self.hyper(network.h_a(y))
        path = cast(SelectivePath, network.entropy)
        y_hat = path.walk(z_hat, coder := LadderCoder(self.gaussian, y, path.ladder, begin, level, selective))
        bits = coder.blocks[0]["bits"].sum((1, 2, 3)) + bits_z.sum((1, 2, 3))
        return Shown(network.synthesise(y_hat), bits, y_step=BASES[level])

    def taught(self, network: HierNetwork, stage: int) -> Iterable[nn.Parameter]:
        path = cast(SelectivePath, network.entropy)
        later = [*path.importance.parameters(), path.ladder.fall, *([] if stage else [path.ladder.scale])]
        return {*network.parameters()} - {*(later if stage < 2 else [])}


# -- the stream


class DeepHQ(HierCodec):
    """Levels of a learned ladder, the largest sigma first."""

    method = "deephq"
    networks, lessons = DeepHQNetwork, ThreeStages

    def __init__(self, network: HierNetwork, *parts: Any):
        super().__init__(network, *parts)
        ladder = cast(SelectivePath, network.entropy).ladder
        self.sizes = np.rint(ladder.sizes().cpu().numpy() * MU_GRID).astype(np.int64)
        self.thresholds = ladder.thresholds().cpu().numpy()[:, :, None, None]

    @property
    def levels(self) -> int:
        return LEVELS

    def record(self, index: np.ndarray, mu: np.ndarray) -> LevelBlock:
        return LevelBlock(index, mu, self.sizes)

    def integers(self, log_sigma: Tensor, mu: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the codec's; log_sigma: (1, 2C, h, w) with the importance, whose level joins the index."""
        log_sigma, importance = log_sigma.chunk(2, 1)
        index, grid, near = integers(log_sigma, mu)
        beyond = importance[0].detach().cpu().numpy() - self.thresholds
        return index + SCALES * (beyond < 0).sum(0), grid, near | (np.abs(beyond) < GUARD).any(0)

    def encoding_coder(self, y: Tensor, z: Tensor, encoder: Encoder, check: Check) -> EncodingCoder:
        coder = super().encoding_coder(y, z, encoder, check)
        coder.integers, coder.index_bits = self.integers, INDEX_BITS + ENTRY_BITS
        return coder

    def decoding_coder(self, decoder: Decoder, check: Check, places: tuple[int, int]) -> DecodingCoder:
        coder = super().decoding_coder(decoder, check, places)
        coder.integers, coder.index_bits = self.integers, INDEX_BITS + ENTRY_BITS
        return coder

    def level_ends(self, stream: bytes) -> tuple[int, ...]:
        """Bytes after which each complete level of ``stream`` is complete."""
        return self.decoder().feed(stream).level_ends
