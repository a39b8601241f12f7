"""Train CTC's networks on a backbone that is trained and stays as it is, but for g_s.

Its paper's code has no training; its stages are ours in one run: CRR by the cross-entropy of the true trits of a random
plane, CDR by the squared error of y after a random plane but the last, g_s by the PSNR of the picture after a random
plane, the last among them: every plane weighs the same in dB. Each loss moves its own networks only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..baselines.contexts import RATE_PLANES, Contexts, PlaneContext
from ..baselines.dpict import DPICT
from ..baselines.intervals import Nested
from ..codec import weights
from ..codec.coders import MU_GRID
from ..codec.network import HierNetwork
from ..codec.tables import scale_index, scale_position
from ..files import digest
from .augment import flip
from .data import Batches, reader, training_set
from .loop import one_cycle, run
from .recipe import as_json


@dataclass(frozen=True)
class ContextRecipe:
    """What the networks are trained on, and how long. dim: their width. decoder_rate: learning rate of g_s."""

    name: str
    pictures: str = "tiny-imagenet-train"
    size: int = 64
    steps: int = 4000
    batch_size: int = 16
    dim: int = 64
    learning_rate: float = 1e-3
    decoder_rate: float = 1e-4
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0


CONTEXTS = {
    recipe.name: recipe
    for recipe in (
        ContextRecipe("ctc64"),
        ContextRecipe("ci-ctc", pictures="shapes:300", steps=40, dim=16, ema=0.9),
    )
}


class ScaleCoder:
    """Walks one block of the frozen backbone: keeps its parameters, and the decoder has everything."""

    def __init__(self, y: Tensor):
        self.y = y

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        self.index = scale_index(scale_position(log_sigma.double().numpy()))
        self.mu = np.rint(mu.double().numpy() * MU_GRID).astype(np.int64)
        return self.y


class ContextTask:
    """One update: one random plane for CRR, one for CDR and g_s."""

    def __init__(self, recipe: ContextRecipe, backbone: Path):
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        tensors, about = weights.read(backbone)
        self.codec = weights.assemble(tensors, {**about, "method": DPICT.method}, "backbone", DPICT)
        self.nested: Nested = self.codec.nested  # type: ignore[attr-defined]
        network: HierNetwork = self.codec.network
        network.entropy.float()
        self.contexts = Contexts(network.config.M, recipe.dim)
        self.trained = nn.ModuleDict({"contexts": self.contexts, "g_s": network.g_s})
        self.trained.requires_grad_(True)
        self.average = AveragedModel(self.trained, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        self.module: nn.Module = nn.ModuleDict({"trained": self.trained, "average": self.average})
        pictures = training_set(recipe.pictures, recipe.seed)
        self.pictures = pictures
        self.batches = Batches(reader(pictures, recipe.size), pictures.labels, recipe.batch_size, recipe.seed, flip)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "contexts": torch.optim.Adam(self.trained["contexts"].parameters(), recipe.learning_rate),
            "g_s": torch.optim.Adam(self.trained["g_s"].parameters(), recipe.decoder_rate),
        }

    def update(self, step: int) -> dict[str, float]:
        r = self.recipe
        for name, rate in (("contexts", r.learning_rate), ("g_s", r.decoder_rate)):
            self.optimizers[name].param_groups[0]["lr"] = rate * one_cycle(step, r.steps)
        images = self.batches.batch(step)[0]
        y, index, mu = self._latents(images)
        v = np.rint(y.double().numpy() - mu / MU_GRID).astype(np.int64)
        top = int(self.nested.starts[index].max())
        random = np.random.default_rng((r.seed, step))
        bits, own_bits = self._rate(index, mu, v, int(random.integers(0, min(top + 1, RATE_PLANES))))
        y_hat, y_error, mean_error = self._shown(y, index, mu, v, int(random.integers(0, max(top, 1) + 1)))
        x_hat = self.codec.network.synthesise(y_hat.detach())
        mse = ((x_hat - images) ** 2).mean() * 255**2
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        (bits + y_error + mse.log()).backward()
        for module in self.trained.values():
            nn.utils.clip_grad_norm_(module.parameters(), r.clip)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.average.update_parameters(self.trained)
        log = {"bits": bits.item(), "hyperprior_bits": own_bits, "mse": mse.item()}
        return log | ({"y_mse": y_error.item(), "mean_mse": mean_error} if mean_error else {})

    @torch.no_grad()
    def _latents(self, images: Tensor) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """y (B, M, h, w), and the integers of its scales and means."""
        network = self.codec.network
        y = network.analyse(images)
        z, medians = network.h_a(y), self.codec.medians.float()[:, None, None]
        coder = ScaleCoder(y)
        network.entropy.walk(torch.round(z - medians) + medians, coder)
        return y, coder.index, coder.mu

    def _rate(self, index: np.ndarray, mu: np.ndarray, v: np.ndarray, j: int) -> tuple[Tensor, float]:
        """Bits an element of plane j, by the networks and by the hyperprior alone."""
        context = PlaneContext(self.nested, index, mu, j, self._k(index, v, j + 1))
        trits = self._k(index, v, j) - 3 * context.k
        counted = torch.from_numpy(context.members & (np.abs(trits) <= 1))  # outliers are escaped
        logits = self.contexts.logits(context)
        logits = torch.stack((logits[:, 0], torch.zeros_like(logits[:, 0]), logits[:, 1]), 1)
        truth = torch.from_numpy(np.clip(trits, -1, 1) + 1)
        bits = F.cross_entropy(logits, truth, reduction="none")[counted].mean() / np.log(2)
        p = torch.from_numpy(context.probabilities()).gather(1, truth[:, None])[:, 0]
        return bits, float(-p[counted].log2().mean())

    def _shown(
        self, y: Tensor, index: np.ndarray, mu: np.ndarray, v: np.ndarray, j: int
    ) -> tuple[Tensor, Tensor, float]:
        """y_hat after plane j, its squared error, and that of the conditional means; after the last plane, which shows
        what was sent, both are 0.
        """
        if j == 0:
            return torch.from_numpy(v + mu / MU_GRID).to(y), torch.zeros(()), 0.0
        at = np.where(self.nested.starts[index] >= j, j, self.nested.starts[index] + 1)
        k = self._k(index, v, j)
        y_hat = self.contexts.corrected(self.nested, index, mu, at, k, j)
        means = self.nested.means(index.ravel(), at.ravel(), k.ravel()).reshape(index.shape)
        plain = torch.from_numpy((mu + means) / MU_GRID)
        return y_hat, F.mse_loss(y_hat, y), float(F.mse_loss(plain, y.double()))

    def _k(self, index: np.ndarray, v: np.ndarray, j: int) -> np.ndarray:
        """round(v / 3^j) of what has begun at j, else 0."""
        k = np.sign(v) * ((np.abs(v) + 3**j // 2) // 3**j)
        return np.where(self.nested.starts[index] >= j, k, 0)

    def batch_at(self, step: int) -> dict[str, Any]:
        """Set and keys of the pictures of update ``step``."""
        return {"pictures": self.pictures.name, "keys": [self.pictures.keys[i] for i in self.batches.indices(step)]}


def train_contexts(recipe: ContextRecipe, folder: Path, start_from: str, *, resume: bool = True) -> Path:
    """Train on the backbone ``start_from`` (name or path of weights); returns the path of the weights of CTC.

    Raises CheckpointError where the backbone cannot be read, DataError for missing pictures.
    """
    from ..baselines.adopt import write

    backbone = weights.locate(start_from)
    task = ContextTask(recipe, backbone)
    about = as_json(recipe) | {"backbone": digest(backbone)}
    steps = run(task, folder, recipe.steps, about, resume=resume)
    tensors, described = weights.read(backbone)
    averaged: Any = task.average.module
    tensors |= {f"context.{k}": v for k, v in averaged["contexts"].state_dict().items()}
    tensors |= {f"network.g_s.{k}": v for k, v in averaged["g_s"].state_dict().items()}
    path = folder / "codec.safetensors"
    write(path, tensors, {**described, "method": "ctc", "name": recipe.name, "contexts": about, "context_steps": steps})
    return path
