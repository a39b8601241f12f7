"""Train the small classifier: alone, or as the pupil of a large one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..classifiers.small import Residual, SmallResNet, channels_last, load, save
from ..errors import CheckpointError
from ..files import digest, shipped
from ..images.packs import PictureSet
from .augment import blur_some, crop_and_resize, flip, flip_and_shift
from .data import Batches, in_memory, training_set
from .derived import decoded_pictures, teacher_logits
from .feed import Feed, workers_for
from .loop import one_cycle, read_back, run
from .recipe import as_json


@dataclass(frozen=True)
class ClassifierRecipe:
    """What a classifier is trained on, and how long. Measured times and results are in the cards.

    start_from: weights to go on from, a shipped name or a file, of as many blocks a stage or fewer. teacher: whose soft
    answers are learned beside the labels, with ``teacher_weight`` and at ``temperature`` (Hinton et al. 2015). decoded:
    a codec; ``decoded_share`` of each batch are pictures as it shows them after random cuts. crops: (until which share
    of the run, side) of the random crops that it is trained on, and afterwards on whole pictures; three quarters of the
    side cost half the time.
    bfloat16: convolve in it, and learn from float32 (on processors with AVX-512 BF16 twice as fast; slow on others).
    """

    name: str = "tiny-classifier"
    pictures: str = "tiny-imagenet-train"  # pack under HIERLIB_DATA, or shapes:N
    widths: tuple[int, ...] = (32, 64, 128, 256)
    depth: int = 1
    batch_size: int = 128
    epochs: float = 14
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    blurred_share: float = 0.25  # of each batch, see blur_some
    start_from: str = ""
    teacher: str = ""
    teacher_weight: float = 0.7
    temperature: float = 2.0
    decoded: str = ""
    decoded_share: float = 0.25
    crops: tuple[tuple[float, int], ...] = ()
    bfloat16: bool = False
    seed: int = 0


CLASSIFIERS = {
    "tiny": ClassifierRecipe(),
    "tiny-taught": ClassifierRecipe(
        "tiny-taught-classifier", epochs=70, label_smoothing=0.0, blurred_share=0.15,
        teacher="mobilenet_edgetpu_1.0@160", teacher_weight=0.5, crops=((0.5, 48), (0.9, 64)), bfloat16=True,
    ),
    "tiny-deep": ClassifierRecipe(
        "tiny-deep-classifier", depth=2, epochs=36, learning_rate=2e-3, label_smoothing=0.0, blurred_share=0.15,
        start_from="tiny-taught", teacher="mobilenet_edgetpu_1.0@160", teacher_weight=0.5,
        crops=((0.5, 48), (0.85, 64)), bfloat16=True,
    ),
    "shapes": ClassifierRecipe("shapes-classifier", "shapes:4000", (16, 32, 64, 96), batch_size=64, epochs=6),
}  # fmt: skip


def distillation(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """(B, N) logits and the teacher's -> mean Kullback-Leibler divergence at ``temperature``, times its square."""
    log_p, log_t = (F.log_softmax(each / temperature, 1) for each in (logits, taught))
    return F.kl_div(log_p, log_t, reduction="batchmean", log_target=True) * temperature**2


class ClassifierTask:
    """Cross-entropy (and distillation) with AdamW on a one-cycle schedule."""

    def __init__(
        self, recipe: ClassifierRecipe, pictures: PictureSet, folder: Path, device: str = "cpu", workers: int = 0
    ):
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, torch.device(device)
        on_gpu = self.device.type == "cuda"
        self.module = SmallResNet(len(pictures.wnids), recipe.widths, recipe.depth)
        if recipe.start_from:
            _begin_from(self.module, recipe.start_from, pictures.wnids)
        channels_last(self.module.to(self.device))  # in place
        self.whole_size = self.module.size
        self.pictures, self.pixels = pictures, pictures.pixels()
        self.batches = Batches(in_memory(self.pixels), pictures.labels, recipe.batch_size, recipe.seed)
        self.taught = teacher_logits(recipe.teacher, pictures, folder, device) if recipe.teacher else None
        self.decoded = decoded_pictures(recipe.decoded, pictures, folder, device) if recipe.decoded else None
        self.steps = round(recipe.epochs * self.batches.steps_per_epoch)
        self.feed = Feed(lambda step, _: self.batch(step), self.steps, [0], workers, pin=on_gpu)
        adam = torch.optim.AdamW(
            self.module.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=on_gpu
        )
        self.optimizers: dict[str, torch.optim.Optimizer] = {"adam": adam}

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Augmented pictures (B, 3, side, side) and labels (B,)."""
        r = self.recipe
        chosen = self.batches.indices(step)
        random = np.random.default_rng((r.seed, step, 1))
        pixels = self.pixels[chosen]
        if self.decoded is not None:  # the last ones of the batch: the first are those that lose detail
            count = round(r.decoded_share * len(chosen))
            pixels[len(chosen) - count :] = self.decoded[chosen[len(chosen) - count :]]
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        sides = [side for until, side in r.crops if step < until * self.steps]
        if sides:
            images = crop_and_resize(flip(images, random), random, sides[0])
        else:
            images = flip_and_shift(images, random)
        return blur_some(images, random, r.blurred_share), torch.from_numpy(self.batches.labels[chosen])

    def update(self, step: int) -> dict[str, float]:
        r = self.recipe
        self.module.train()
        images, labels = (each.to(self.device, non_blocking=True) for each in self.feed(step, 0))
        adam = self.optimizers["adam"]
        for group in adam.param_groups:
            group["lr"] = r.learning_rate * one_cycle(step, self.steps)
        self.module.size = images.shape[-1]  # crops are seen as they are
        with torch.autocast(self.device.type, torch.bfloat16, enabled=r.bfloat16):
            logits = self.module(images.contiguous(memory_format=torch.channels_last)).float()
        self.module.size = self.whole_size
        loss = F.cross_entropy(logits, labels, label_smoothing=r.label_smoothing)
        log = {"nats": loss, "top1": (logits.argmax(1) == labels).float().mean()}
        if self.taught is not None:
            answers = torch.from_numpy(self.taught[self.batches.indices(step)]).to(self.device)
            taught = distillation(logits, answers.float(), r.temperature)
            loss = (1 - r.teacher_weight) * loss + r.teacher_weight * taught
            log["taught"] = taught
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return read_back({"loss": loss, **log})

    def batch_at(self, step: int) -> dict[str, Any]:
        """Set, keys and labels of the pictures of update ``step``."""
        chosen = [int(i) for i in self.batches.indices(step)]
        keys, labels = [self.pictures.keys[i] for i in chosen], [int(self.pictures.labels[i]) for i in chosen]
        return {"pictures": self.pictures.name, "keys": keys, "labels": labels}


def train_classifier(
    recipe: ClassifierRecipe,
    folder: Path,
    *,
    resume: bool = True,
    device: str | None = None,
    workers: int | None = None,
) -> Path:
    """Train as ``recipe`` says; returns the path of the weights, ``folder/classifier.safetensors``.

    device, workers: as ``trainer.train`` has them.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    workers = workers_for(device, workers)
    pictures = training_set(recipe.pictures, recipe.seed)
    task = ClassifierTask(recipe, pictures, folder, device, workers)
    about = as_json(recipe) | {"start_from": _origin(recipe.start_from)}
    steps = run(task, folder, task.steps, about, resume=resume)
    path = folder / "classifier.safetensors"
    task.module.eval()
    save(path, task.module, pictures.wnids, {"name": recipe.name, "recipe": about, "steps": steps})
    return path


def _path(name: str) -> Path:
    return Path(name) if name.endswith(".safetensors") else shipped("checkpoints", f"{name}-classifier.safetensors")


def _origin(name: str) -> str:
    return f"{Path(name).name} {digest(_path(name))}" if name else ""


def _begin_from(module: SmallResNet, name: str, wnids: tuple[str, ...]) -> None:
    """Weights to go on from, of as many blocks a stage or fewer: the others begin as identities, so that the network
    first answers as that one does. CheckpointError if they are of another shape or of other classes.
    """
    known = load(name)
    network = known.network
    assert isinstance(network, SmallResNet)
    depth, own_depth = network.config["depth"], module.config["depth"]
    same = {**network.config, "depth": own_depth} == module.config
    if not same or depth > own_depth or known.wnids != tuple(wnids):
        raise CheckpointError(f"{name} is a classifier of another shape or of other classes: start from none.")
    for child, own in module.named_children():
        if child != "blocks":
            own.load_state_dict(getattr(network, child).state_dict())
    for number, block in enumerate(module.blocks):
        stage, place = divmod(number, own_depth)
        if place < depth:
            block.load_state_dict(network.blocks[stage * depth + place].state_dict())
        else:
            nn.init.zeros_(cast(Residual, block).conv2.weight)
