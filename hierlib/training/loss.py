"""Eq. 2, level by level: BPP_k + lambda_k * MSE + gamma_k * cross-entropy of the level's summed probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..hierarchy.tree import Hierarchy
from .recipe import Recipe

if TYPE_CHECKING:
    from ..classifiers import Classifier
    from ..codec.network import HierNetwork


@dataclass
class LevelTerms:
    """Batch means of one level's terms. bpp: bits per pixel; mse: on the 255 scale; cross_entropy: nats."""

    bpp: Tensor
    mse: Tensor
    cross_entropy: Tensor
    right: Tensor
    bits: float


def level_cross_entropy(
    logits: Tensor, labels: Tensor, hierarchy: Hierarchy, level: int, smoothing: float
) -> tuple[Tensor, Tensor]:
    """(B, N) logits, (B,) classes -> cross-entropy in nats and accuracy at ``level``, both of summed probabilities.

    The target gives 1 - smoothing to the right group and spreads the rest over all K groups.
    """
    log_p = hierarchy.log_probabilities(logits, level)
    groups = torch.from_numpy(hierarchy.groups[level]).to(labels.device)[labels]
    right = (log_p.argmax(1) == groups).float().mean()
    return F.nll_loss(log_p, groups) * (1 - smoothing) - smoothing * log_p.mean(), right


def cut(part: dict[str, Tensor], share: float) -> Tensor:
    """y_hat of a block (B, C, h, w) as after a cut inside it, for the first ``share`` of the batch.

    Symbols are received in order of sigma, largest first, up to a uniformly drawn share of the block's bits; the rest
    stands at mu.
    """
    y_hat, mu = part["y_hat"], part["mu"]
    count = round(share * len(y_hat))
    if count == 0:
        return y_hat
    order = part["log_sigma"][:count].detach().flatten(1).argsort(1, descending=True)
    spent = part["bits"][:count].detach().flatten(1).gather(1, order).cumsum(1)
    budget = torch.rand(count, 1, device=y_hat.device) * spent[:, -1:]
    received = torch.zeros_like(spent).scatter(1, order, (spent <= budget).to(spent.dtype)).view_as(y_hat[:count])
    return torch.cat([torch.where(received > 0, y_hat[:count], mu[:count]), y_hat[count:]])


class LevelLoss:
    """The terms of Eq. 2 for one level at a time, of a walk that several may share."""

    def __init__(self, recipe: Recipe, hierarchy: Hierarchy, classifier: Classifier | None):
        self.recipe, self.hierarchy, self.classifier = recipe, hierarchy, classifier

    def terms(
        self, network: HierNetwork, walked: dict[str, Any], images: Tensor, labels: Tensor, level: int, task: bool
    ) -> LevelTerms:
        """Terms of ``level`` (0-based), for pictures of which part are cut inside its block.

        BPP_k counts z and blocks 1 .. k, as Eq. 2 writes it: over all levels, z and block 1 count most.
        """
        blocks = walked["blocks"][: level + 1]
        bits = walked["bits_z"] + sum(part["bits"].sum((1, 2, 3)) for part in blocks)
        parts = [part["y_hat"] for part in blocks[:-1]] + [cut(blocks[-1], self.recipe.cut_share)]
        known = torch.cat(parts, 1)
        y_hat = F.pad(known, (0, 0, 0, 0, 0, network.config.M - known.shape[1]))  # blocks not begun are zero
        x_hat = network.synthesise(y_hat)
        pixels = images.shape[2] * images.shape[3]
        mse = ((x_hat - images) ** 2).mean() * 255**2
        entropy = right = torch.zeros((), device=images.device)
        if task and self.classifier is not None:
            logits = self.classifier(x_hat.clamp(0, 1))
            entropy, right = level_cross_entropy(logits, labels, self.hierarchy, level, self.recipe.label_smoothing)
        return LevelTerms(bits.mean() / pixels, mse, entropy, right, float(bits.detach().mean()))

    def total(self, terms: LevelTerms, level: int, task: bool) -> Tensor:
        """Weighted sum of one level's terms."""
        r = self.recipe
        gamma = r.gamma[level] if task else 0.0
        return r.level_weight[level] * (terms.bpp + r.lam[level] * terms.mse + gamma * terms.cross_entropy)
