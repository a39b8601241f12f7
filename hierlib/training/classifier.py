"""Train the small classifier."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from ..classifiers.small import SmallResNet, channels_last, save
from ..images.packs import PictureSet
from .data import Batches, sometimes_blurred, training_set
from .loop import one_cycle, run


@dataclass(frozen=True)
class ClassifierRecipe:
    """What a classifier is trained on, and how long. Measured times and results are in the cards."""

    name: str = "tiny-classifier"
    pictures: str = "tiny-imagenet-train"  # pack under HIERLIB_DATA, or shapes:N
    widths: tuple[int, ...] = (32, 64, 128, 256)
    depth: int = 1
    batch_size: int = 128
    epochs: float = 14
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    blurred_share: float = 0.25  # of each batch, see sometimes_blurred
    seed: int = 0


CLASSIFIERS = {
    "tiny": ClassifierRecipe(),
    "shapes": ClassifierRecipe("shapes-classifier", "shapes:4000", (16, 32, 64, 96), batch_size=64, epochs=6),
}


class ClassifierTask:
    """Cross-entropy with AdamW on a one-cycle schedule."""

    def __init__(self, recipe: ClassifierRecipe, pictures: PictureSet):
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.module = SmallResNet(len(pictures.wnids), recipe.widths, recipe.depth)
        channels_last(self.module)  # in place
        self.batches = Batches(
            pictures.pixels(), pictures.labels, recipe.batch_size, recipe.seed, sometimes_blurred(recipe.blurred_share)
        )
        self.steps = round(recipe.epochs * self.batches.steps_per_epoch)
        adam = torch.optim.AdamW(self.module.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.optimizers: dict[str, torch.optim.Optimizer] = {"adam": adam}

    def update(self, step: int) -> dict[str, float]:
        self.module.train()
        images, labels = self.batches.batch(step)
        adam = self.optimizers["adam"]
        for group in adam.param_groups:
            group["lr"] = self.recipe.learning_rate * one_cycle(step, self.steps)
        logits = self.module(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return {"loss": loss.item(), "top1": (logits.argmax(1) == labels).float().mean().item()}


def train_classifier(recipe: ClassifierRecipe, folder: Path, *, resume: bool = True) -> Path:
    """Train as ``recipe`` says; returns the path of the weights, ``folder/classifier.safetensors``."""
    pictures = training_set(recipe.pictures, recipe.seed)
    task = ClassifierTask(recipe, pictures)
    about = asdict(recipe) | {"widths": list(recipe.widths)}
    steps = run(task, folder, task.steps, about, resume=resume)
    path = folder / "classifier.safetensors"
    task.module.eval()
    save(path, task.module, pictures.wnids, {"name": recipe.name, "recipe": about, "steps": steps})
    return path
