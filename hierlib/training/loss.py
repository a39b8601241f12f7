"""Eq. 2, level by level: BPP_k + lambda_k * MSE + gamma_k * cross-entropy of the level's summed probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..codec.network import y_hat_of
from ..hierarchy.tree import Hierarchy
from .recipe import Recipe

if TYPE_CHECKING:
    from ..classifiers import Classifier
    from .features import Features
    from .mixed import TrainingView


@dataclass
class LevelTerms:
    """Batch means of one level's terms. bpp: bits per pixel that the level pays for; mse: on the 255 scale;
    cross_entropy: nats; right: share of right answers; lost: of a classifier's features; bits: of the whole prefix, for
    the log.
    """

    bpp: Tensor
    mse: Tensor
    cross_entropy: Tensor
    right: Tensor
    lost: Tensor
    bits: Tensor


def level_cross_entropy(
    logits: Tensor, labels: Tensor, hierarchy: Hierarchy, level: int, smoothing: float, clean: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(B, N) logits, (B,) classes -> cross-entropy in nats and accuracy at ``level``, both of summed probabilities.

    The target gives 1 - smoothing to the right group and spreads the rest over all K groups. With ``clean``, the logits
    of the pictures before coding, the target is what they say of the groups (distillation), smoothed likewise.
    """
    log_p = hierarchy.log_probabilities(logits, level)
    groups = hierarchy.groups_on(level, labels.device)[labels]
    right = (log_p.argmax(1) == groups).float().mean()
    if clean is None:
        wanted = F.nll_loss(log_p, groups)
    else:
        wanted = -(hierarchy.log_probabilities(clean, level).exp() * log_p).sum(1).mean()
    return wanted * (1 - smoothing) - smoothing * log_p.mean(), right


def received(part: dict[str, Tensor], budget_bits: Tensor, order: str = "sigma") -> tuple[Tensor, Tensor]:
    """y_hat of a block (B, C, h, w) as after a cut inside it, and the bits (B,) of what arrived.

    Symbols are received as long as their bits fit into ``budget_bits`` (B,), the rest stands at mu. order: by "sigma",
    largest first, as the stream has it; "channel" by channel; or in "raster" order, all channels of a place together.
    """
    y_hat, bits = part["y_hat"], part["bits"].detach().flatten(1)
    if order == "sigma":
        places = part["log_sigma"].detach().flatten(1).argsort(1, descending=True)
    else:
        plain = torch.arange(bits.shape[1], device=bits.device)
        raster = plain.view(y_hat.shape[1], -1).T.reshape(-1)
        places = (plain if order == "channel" else raster).expand_as(bits)
    spent = bits.gather(1, places).cumsum(1)
    fits = spent <= budget_bits[:, None]
    arrived = torch.zeros_like(fits).scatter(1, places, fits)
    return torch.where(arrived.view_as(y_hat), y_hat, part["mu"]), (bits * arrived).sum(1)


def cut(part: dict[str, Tensor], share: float, order: str = "sigma") -> Tensor:
    """y_hat of a block (B, C, h, w), the first ``share`` of the batch as after a cut at a uniform share of its bits."""
    y_hat = part["y_hat"]
    count = round(share * len(y_hat))
    if count == 0:
        return y_hat
    few = {key: value[:count] for key, value in part.items()}
    budget = torch.rand(count, device=y_hat.device) * few["bits"].detach().sum((1, 2, 3))
    return torch.cat([received(few, budget, order)[0], y_hat[count:]])


def jittered(images: Tensor, strength: float) -> Tensor:
    """(B, 3, H, W) -> the same pictures a little moved, scaled and sometimes mirrored, each batch otherwise.

    A pattern that pleases one classifier at one place and scale only is then worth nothing: what is left of the task
    loss's gradient is more nearly what any classifier would ask for (Xie et al. 2019, input diversity).
    strength: largest shift as a share of the picture; the scale varies by as much.
    """
    if not strength:
        return images
    amount = (torch.rand(3, device=images.device) * 2 - 1) * strength
    scale = 1 + amount[0]
    sign = 1 - 2 * (torch.rand(1, device=images.device)[0] >= 0.5).to(images.dtype)
    zero = torch.zeros((), device=images.device)
    rows = torch.stack([torch.stack([sign * scale, zero, amount[1]]), torch.stack([zero, scale, amount[2]])])
    grid = F.affine_grid(rows.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


class LevelLoss:
    """The terms of Eq. 2 for one level at a time, of a walk that several may share.

    judges: frozen classifiers, of which one is asked each step: the second one every ``second_every``-th.
    """

    def __init__(self, recipe: Recipe, hierarchy: Hierarchy, judges: Sequence[Classifier]):
        self.recipe, self.hierarchy, self.judges = recipe, hierarchy, judges
        # a codec of fewer blocks than the hierarchy has levels answers for the finest ones
        self.first_level = max(0, len(hierarchy.levels) - len(recipe.codec.blocks))

    def terms(
        self,
        network: TrainingView,
        walked: dict[str, Any],
        images: Tensor,
        labels: Tensor,
        level: int,
        judge: Classifier | None = None,
        clean: Tensor | None = None,
        features: Features | None = None,
    ) -> LevelTerms:
        """Terms of ``level`` (0-based), for pictures of which part are cut inside its block.

        judge: who is asked, nobody if None; clean: its logits on ``images``, for distillation; features: whose are
        compared, nobody's if None.
        """
        blocks = walked["blocks"][: level + 1]
        bits_of = [part["bits"].sum((1, 2, 3)) for part in blocks]
        bits = walked["bits_z"] + sum(bits_of)
        if self.recipe.count == "prefix":  # Eq. 2 as written: over all levels z and block 1 count most
            paid = bits
        else:
            paid = bits_of[-1] if level else bits
        parts = [part["y_hat"] for part in blocks[:-1]] + [cut(blocks[-1], self.recipe.cut_share, self.recipe.order)]
        x_hat = network.synthesise(y_hat_of(parts, network.config.M))
        pixels = images.shape[2] * images.shape[3]
        mse = ((x_hat - images) ** 2).mean() * 255**2
        entropy = right = lost = torch.zeros((), device=images.device)
        if judge is not None:
            logits = network.ask(judge, jittered(x_hat.clamp(0, 1), self.recipe.jitter))
            entropy, right = level_cross_entropy(
                logits, labels, self.hierarchy, self.first_level + level, self.recipe.label_smoothing, clean
            )
        if features is not None:
            both = jittered(torch.cat([images, x_hat.clamp(0, 1)]), self.recipe.jitter)
            lost = network.lost(features, *both.chunk(2))
        return LevelTerms(paid.mean() / pixels, mse, entropy, right, lost, bits.detach().mean())

    def judge(self, step: int) -> Classifier | None:
        """Who is asked at ``step``: by turns, so that all levels meet each of them."""
        if len(self.judges) < 2:
            return self.judges[0] if self.judges else None
        levels = len(self.recipe.codec.blocks)
        return self.judges[1 if (step // levels) % self.recipe.second_every == 0 else 0]

    def total(self, terms: LevelTerms, level: int, y_step: float = 1.0) -> Tensor:
        """Weighted sum of one level's terms, y having been quantised with ``y_step``."""
        r = self.recipe
        lam = r.lam[level] / y_step**2
        task = r.gamma[level] * terms.cross_entropy
        if r.features:
            task = task + r.feature_weight[level] * terms.lost
        return r.level_weight[level] * (terms.bpp + lam * terms.mse + task)
