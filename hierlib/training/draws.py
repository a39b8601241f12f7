"""Symbols drawn between their two nearest integers, and what they cost: with this an encoder that searches walks.

The gradient of a rounded symbol is zero, and one that a search may follow must not forget that only integers are sent:
stochastic Gumbel annealing (Yang et al. 2020) draws either integer, the nearer one more often and ever more so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..codec.likelihood import MAX_LOG_SIGMA
from ..codec.tables import LOG_SIGMA_MIN, Tables

REACH, FARTHEST = 4, 256  # integers beyond z's own whose cost is looked up, and beyond which none is


class DrawingCoder:
    """The fourth coder of the walk: symbols drawn between their two nearest integers, softly, and what they cost."""

    def __init__(self, y: Tensor, slices: Sequence[tuple[int, int]], temperature: float):
        self.y, self.slices, self.temperature = y, slices, temperature
        self.blocks: list[dict[str, Tensor]] = []

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        low, high = self.slices[block]
        away = self.y[:, low:high].to(mu.dtype) - mu
        q = between_integers(away, away.detach().floor(), self.temperature)
        bits = gaussian_bits(q, log_sigma)
        part = {"y_hat": q + mu, "mu": mu, "log_sigma": log_sigma, "bits": bits}
        self.blocks.append({name: value.float() for name, value in part.items()})  # what g_s and the loss compute with
        return part["y_hat"]


def between_integers(value: Tensor, below: Tensor, temperature: float) -> Tensor:
    """Values and the integers below them -> nearly ``below`` or nearly ``below + 1``, with a gradient."""
    return below + drawn((value - below).clamp(1e-4, 1 - 1e-4), temperature)


def drawn(above: Tensor, temperature: float) -> Tensor:
    """How far above the lower integer, in (0, 1) -> nearly 0 or nearly 1: a relaxed draw, likelier the nearer one."""
    gumbel = -torch.log(-torch.log(torch.rand(2, *above.shape, device=above.device).clamp(1e-6, 1 - 1e-6)))
    far = torch.atanh(1 - above) - torch.atanh(above)  # logit of the upper integer over the lower, times minus 1
    return torch.sigmoid((-far / temperature + gumbel[0] - gumbel[1]) / temperature)


def gaussian_bits(q: Tensor, log_sigma: Tensor) -> Tensor:
    """Bits of a value q, an integer or near one, under a Gaussian of mean 0 that is summed over unit intervals.

    As CompressAI's GaussianConditional, in logarithms: a value far outside still has a gradient.
    """
    sigma = log_sigma.clamp(LOG_SIGMA_MIN, MAX_LOG_SIGMA).exp()
    upper = torch.special.log_ndtr((0.5 - q.abs()) / sigma)
    lower = torch.special.log_ndtr((-0.5 - q.abs()) / sigma)
    return -(upper + torch.log1p(-(lower - upper).exp())) / math.log(2)


class HyperDraws:
    """z of several pictures, (B, N_hyper, h, w), about its medians: ``centred`` is what a search changes.

    medians: (N_hyper,), float64, as the codec has them. tables: a row of integer frequencies for each channel. The cost
    of a value between two integers lies on the line between theirs.
    """

    def __init__(self, z: Tensor, medians: Tensor, tables: Tables):
        self.medians = medians.to(z.device)[:, None, None]
        self.centred = (z.double() - self.medians).float().detach().requires_grad_()
        farthest = min(int(self.centred.detach().abs().max().ceil()) + REACH, FARTHEST)
        values = np.arange(-farthest, farthest + 1)
        bits = tables.bits_of(values, np.arange(len(medians))[:, None])
        self.farthest, self.bits = farthest, torch.from_numpy(bits).float().to(z.device)

    def draw(self, temperature: float) -> tuple[Tensor, Tensor]:
        """z_hat, (B, N_hyper, h, w) float64, and its bits (B,); of the nearest integers where the temperature is 0."""
        below = self.centred.detach().floor().clamp(-self.farthest, self.farthest - 1)
        q = between_integers(self.centred, below, temperature) if temperature else self.centred.detach().round()
        channels = torch.arange(len(self.bits), device=below.device)[:, None, None]
        column = below.long() + self.farthest
        low, high = self.bits[channels, column], self.bits[channels, column + 1]
        return q.double() + self.medians, (low + (q - below) * (high - low)).sum((1, 2, 3))

    @property
    def z(self) -> Tensor:
        """As it stands, to be written."""
        return (self.centred.detach() + self.medians).float()
