"""Train a codec: recipe -> weights file. Resumable, seeded, the same walk as encoding and decoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import classifiers, hierarchy
from ..codec import weights
from ..codec.likelihood import Likelihoods
from ..codec.network import HierNetwork
from ..errors import CheckpointError
from ..files import digest
from ..images.packs import PictureSet
from .data import Batches, cropped, flip, training_set
from .loop import one_cycle, run
from .loss import LevelLoss
from .recipe import Recipe


class CodecTask:
    """One update of Eq. 2: Adam for the networks, a second Adam for the quantiles of z's prior."""

    def __init__(self, recipe: Recipe, pictures: PictureSet, device: str = "cpu"):
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, torch.device(device)
        table = hierarchy.load(recipe.hierarchy).restrict(pictures.wnids)
        classifier = None
        if any(recipe.gamma):  # without a task loss nobody is asked what the pictures show
            classifier = classifiers.load(recipe.classifier, self.device)
            classifier = classifiers.restrict(classifier, pictures.wnids)
        self.loss = LevelLoss(recipe, table, classifier)
        pixels = pictures.pixels() if recipe.size == 64 else _resized(pictures, recipe.size)
        self.batches = Batches(pixels, pictures.labels, recipe.batch_size, recipe.seed, flip)
        self.large = _large_batches(recipe) if recipe.large else None
        self.network, self.likelihoods = HierNetwork(recipe.codec), Likelihoods(recipe.codec.N_hyper)
        first = torch.from_numpy(pixels[:: max(1, len(pixels) // 512)][:512]).permute(0, 3, 1, 2).float() / 255
        self.network.start_from(first, recipe.start_step)
        self.trained = nn.ModuleDict({"network": self.network, "likelihoods": self.likelihoods})
        self.average = AveragedModel(self.trained, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        self.module: nn.Module = nn.ModuleDict({"trained": self.trained, "average": self.average}).to(self.device)
        named = dict(self.trained.named_parameters())
        quantiles = [p for name, p in named.items() if name.endswith("quantiles")]
        self.weights = [p for name, p in named.items() if not name.endswith("quantiles")]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "main": torch.optim.Adam(self.weights, recipe.learning_rate),
            "auxiliary": torch.optim.Adam(quantiles, recipe.auxiliary_rate),
        }

    def update(self, step: int) -> dict[str, float]:
        r, levels = self.recipe, len(self.recipe.codec.blocks)
        large = self.large if step % r.large_every == r.large_every - 1 else None
        images, labels = (t.to(self.device) for t in (large or self.batches).batch(step))
        self.likelihoods.train()
        task = step >= r.task_from * r.steps and any(r.gamma) and not large
        chosen = [step % levels] if r.one_level_a_step else list(range(levels))
        for group in self.optimizers["main"].param_groups:
            group["lr"] = r.learning_rate * one_cycle(step, r.steps)
        walked = self.likelihoods(self.network, images, max(chosen) + 1)
        log: dict[str, float] = {}
        loss = torch.zeros((), device=self.device)
        for level in chosen:
            terms = self.loss.terms(self.network, walked, images, labels, level, task)
            loss = loss + self.loss.total(terms, level, task)
            if not large:  # logged of one size only
                log |= {f"bytes_{level + 1}": terms.bits / 8, f"mse_{level + 1}": terms.mse.item()}
            if task:
                log |= {f"right_{level + 1}": terms.right.item(), f"nats_{level + 1}": terms.cross_entropy.item()}
        size = "large_" if large else ""
        log |= {f"{size}bytes_z": walked["bits_z"].mean().item() / 8, f"{size}loss_{chosen[0] + 1}": loss.item()}
        self.optimizers["main"].zero_grad(set_to_none=True)
        loss.backward()
        log[f"{size}gradient_{chosen[0] + 1}"] = float(nn.utils.clip_grad_norm_(self.weights, r.clip))
        self.optimizers["main"].step()
        auxiliary = self.likelihoods.bottleneck.loss()
        self.optimizers["auxiliary"].zero_grad(set_to_none=True)
        auxiliary.backward()
        self.optimizers["auxiliary"].step()
        self.average.update_parameters(self.trained)
        return log

    def save_weights(self, path: Path, about: dict) -> None:
        """Write the averaged weights as a codec that anyone can load."""
        averaged: Any = self.average.module
        weights.save(path, averaged["network"], averaged["likelihoods"], about)


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = True,
    start_from: str = "",
    device: str | None = None,
    checkpoint_every_s: float = 120,
    every_log: Callable[[dict], None] | None = None,
) -> Path:
    """Train as ``recipe`` says; returns the path of the weights, ``folder/codec.safetensors``.

    resume: go on from the folder's last checkpoint if there is one (made by the same recipe). start_from: name or
    path of weights to begin from. device: CUDA if there is one, if None. Raises DataError for missing pictures,
    CheckpointError for weights of another shape, TrainingError when a number is not finite.
    """
    folder = Path(folder)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    task = CodecTask(recipe, training_set(recipe.pictures, recipe.seed), device)
    origin = _begin_from(task, start_from) if start_from else ""
    about = {"name": recipe.name, "recipe": recipe.to_json(), "start_from": origin, "seed": recipe.seed}
    done = run(
        task, folder, recipe.steps, about, resume=resume, checkpoint_every_s=checkpoint_every_s, every_log=every_log
    )
    path = folder / "codec.safetensors"
    task.save_weights(path, {**about, "steps": done, "torch": torch.__version__, "device": device})
    return path


def _begin_from(task: CodecTask, name: str) -> str:
    """Load weights to go on from; returns their recipe's name and their file's digest, which the new weights keep."""
    path = weights.locate(name)
    tensors, described = weights.read(path)
    for part in ("network", "likelihood"):
        module = task.network if part == "network" else task.likelihoods
        own = {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
        try:
            module.load_state_dict(own, strict=part == "network")
        except RuntimeError as error:
            raise CheckpointError(
                f"{path} does not fit recipe {task.recipe.name}: {str(error).splitlines()[0]}"
            ) from None
    task.average.module.load_state_dict(task.trained.state_dict())
    return f"{described.get('name', path.stem)} {digest(path)}"


def _large_batches(recipe: Recipe) -> Batches:
    """As many pixels a batch as the others have."""
    pictures = training_set(recipe.large, recipe.seed)
    count = max(1, recipe.batch_size * recipe.size**2 // recipe.large_size**2)
    return Batches(pictures.pixels(), pictures.labels, count, recipe.seed, cropped(recipe.large_size))


def _resized(pictures: PictureSet, size: int) -> np.ndarray:
    from ..images.pictures import centre_square, to_uint8

    return np.stack([to_uint8(centre_square(pictures[i], size)) for i in range(len(pictures))])
