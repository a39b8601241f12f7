"""Train one of CompressAI's architectures on the same pictures, for as many updates, as our codecs: an equal footing.

Its library's own loss (bits per pixel plus lambda times the squared error) and its two optimisers, in our loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..baselines import zoo
from .augment import flip
from .data import Batches, from_disk, reader, training_set
from .loop import one_cycle, run
from .recipe import as_json


@dataclass(frozen=True)
class ZooRecipe:
    """What a model is trained on, and how long. lam: weight of the squared error on the 255 scale.

    large, large_every, large_size, as in ``Recipe``: pictures of which the hyper-latent has more than one place.
    """

    name: str
    architecture: str
    sizes: tuple[tuple[str, int], ...]  # N and, where it takes one, M
    lam: float = 4e-3  # of `tiny`'s finest level it is 1e-2; whole files are to be about as long as `tiny`'s
    pictures: str = "tiny-imagenet-train"
    size: int = 64
    steps: int = 14500
    batch_size: int = 16
    learning_rate: float = 1e-3
    auxiliary_rate: float = 1e-3
    clip: float = 5.0
    ema: float = 0.999
    large: str = "imagenette-woof-224-train"
    large_every: int = 4
    large_size: int = 128
    seed: int = 0


ZOO = {
    recipe.name: recipe
    for recipe in (
        ZooRecipe("zoo64-mbt2018-mean", "mbt2018-mean", (("N", 64), ("M", 160))),
        ZooRecipe("zoo64-mbt2018", "mbt2018", (("N", 64), ("M", 160))),
        ZooRecipe("zoo64-cheng2020-anchor", "cheng2020-anchor", (("N", 64),)),
        ZooRecipe("ci-zoo", "mbt2018-mean", (("N", 16), ("M", 24)), pictures="shapes:300", steps=60, large=""),
    )
}


class ZooTask:
    """Rate plus distortion with Adam on a one-cycle schedule; the priors' quantiles with an Adam of their own."""

    def __init__(self, recipe: ZooRecipe):
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.trained: Any = zoo.build(recipe.architecture, **dict(recipe.sizes))
        self.average = AveragedModel(self.trained, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        self.module: nn.Module = nn.ModuleDict({"trained": self.trained, "average": self.average})
        pictures = training_set(recipe.pictures, recipe.seed)
        self.sets = {"pictures": (pictures, Batches(reader(pictures, recipe.size), pictures.labels, recipe.batch_size,
                                                    recipe.seed, flip))}  # fmt: skip
        if recipe.large:
            large = training_set(recipe.large, recipe.seed)
            count = max(1, recipe.batch_size * recipe.size**2 // recipe.large_size**2)
            read = from_disk(large, recipe.large_size)
            self.sets["large"] = large, Batches(read, large.labels, count, recipe.seed, flip)
        quantiles = [p for name, p in self.trained.named_parameters() if name.endswith(".quantiles")]
        others = [p for name, p in self.trained.named_parameters() if not name.endswith(".quantiles")]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.Adam(others, recipe.learning_rate),
            "auxiliary": torch.optim.Adam(quantiles, recipe.auxiliary_rate),
        }

    def _kind(self, step: int) -> str:
        every = self.recipe.large_every
        return "large" if "large" in self.sets and step % every == every - 1 else "pictures"

    def update(self, step: int) -> dict[str, float]:
        r, adam = self.recipe, self.optimizers["adam"]
        for group in adam.param_groups:
            group["lr"] = r.learning_rate * one_cycle(step, r.steps)
        kind = self._kind(step)
        images: Tensor = self.sets[kind][1].batch(step)[0]
        out = self.trained.train()(images)
        pixels = images.shape[0] * images.shape[2] * images.shape[3]
        bpp = torch.stack([-p.log2().sum() for p in out["likelihoods"].values()]).sum() / pixels
        mse = ((out["x_hat"] - images) ** 2).mean() * 255**2
        loss = bpp + r.lam * mse
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], r.clip)
        adam.step()
        auxiliary = self.trained.aux_loss()
        self.optimizers["auxiliary"].zero_grad(set_to_none=True)
        auxiliary.backward()
        self.optimizers["auxiliary"].step()
        self.average.update_parameters(self.trained)
        of = "large_" if kind == "large" else ""
        return {f"{of}bpp": bpp.item(), f"{of}mse": mse.item(), f"{of}loss": loss.item(), "auxiliary": auxiliary.item()}

    def batch_at(self, step: int) -> dict[str, Any]:
        """Set and keys of the pictures of update ``step``."""
        pictures, batches = self.sets[self._kind(step)]
        return {"pictures": pictures.name, "keys": [pictures.keys[i] for i in batches.indices(step)]}


def train_zoo(recipe: ZooRecipe, folder: Path, *, resume: bool = True) -> Path:
    """Train as ``recipe`` says; returns the path of the weights, ``folder/zoo.safetensors``."""
    task = ZooTask(recipe)
    about = as_json(recipe) | {"sizes": dict(recipe.sizes)}
    steps = run(task, folder, recipe.steps, about, resume=resume)
    path = folder / "zoo.safetensors"
    said = {"name": recipe.name, "recipe": about, "steps": steps}
    zoo.save(path, task.average.module, recipe.architecture, dict(recipe.sizes), said)
    return path
