"""What one update of a peer's training looks at: pictures as some cut would show them, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..codec.likelihood import Likelihoods, round_through
from ..codec.network import HierNetwork


class Shown(NamedTuple):
    """x_hat (B, 3, H, W), not clamped; bits (B,) that this cut pays for; lam: which of the recipe's lambdas weighs the
    error; share: of the batch's loss that error and task of this cut make; y_step: of a quantiser with many steps, as
    in a recipe, lambda / y_step^2 weighs the error; beside: what else its loss has.
    """

    x_hat: Tensor
    bits: Tensor
    lam: int = 0
    share: float = 1.0
    y_step: float = 1.0
    beside: Tensor | float = 0.0


class Lessons(Likelihoods):
    """Likelihoods of a peer. stages: how many its training has, each with losses and networks of its own."""

    stages = 1

    def shown(self, network: HierNetwork, x: Tensor, stage: int) -> list[Shown]:
        """What the loss of ``stage`` (from 0) is made of. x: (B, 3, H, W) in [0, 1], sides multiples of 64."""
        raise NotImplementedError

    def taught(self, network: HierNetwork, stage: int) -> Iterable[nn.Parameter]:
        """What ``stage`` trains, the prior of z aside; the rest of the network stays as it is."""
        return network.parameters()

    def hyper(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z_hat, rounded about the medians (straight-through), and bits of each element (in training, noisy)."""
        _, likelihood = self.bottleneck(z)
        medians = self.bottleneck.quantiles[:, :, 1:2].detach().reshape(1, -1, 1, 1)
        return round_through(z - medians) + medians, -torch.log2(likelihood)
