"""Train a codec: recipe -> weights file. Resumable, seeded, the same walk as encoding and decoding."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import classifiers, hierarchy
from ..codec import weights
from ..codec.likelihood import Likelihoods
from ..codec.network import HierNetwork
from ..codec.trainable import TrainableCodec
from ..errors import CheckpointError
from ..files import digest, write_bytes
from ..images.packs import PictureSet
from .augment import flip
from .data import Batches, from_disk, identity, reader, training_set
from .distributed import Group, join, leave
from .features import Features
from .feed import Feed, workers_for
from .loop import one_cycle, read_back, run
from .loss import LevelLoss
from .mixed import TrainingView, hold_at_zero, prepare
from .recipe import Recipe
from .recorder import Recorder
from .rounded import RoundedGaussian


class CodecTask:
    """One update of Eq. 2: Adam for the networks, a second Adam for the quantiles of z's prior."""

    def __init__(self, recipe: Recipe, pictures: PictureSet, group: Group | None = None, workers: int = 0):
        torch.manual_seed(recipe.seed)
        self.recipe, self.pictures, self.group = recipe, pictures, group or Group()
        self.device = torch.device(self.group.device)
        on_gpu = self.device.type == "cuda"
        table = hierarchy.load(recipe.hierarchy)
        of_pictures = table.restrict(pictures.wnids)  # which refuses classes that the hierarchy lacks
        if recipe.classes == "pictures":
            table = of_pictures
        row = {wnid: number for number, wnid in enumerate(table.wnids)}
        self.rows = torch.tensor([row[wnid] for wnid in pictures.wnids], device=self.device)  # of each label
        asked = (recipe.classifier, recipe.second) if any(recipe.gamma) else ()  # without a task loss, nobody
        judges = [
            classifiers.restrict(classifiers.load(name, self.device), table.wnids) for name in filter(None, asked)
        ]
        self.loss = LevelLoss(recipe, table, judges)
        self.features = Features(recipe.features, self.device) if recipe.features else None
        self.batches = Batches(
            reader(pictures, recipe.size), pictures.labels, recipe.batch_size, recipe.seed, flip, recipe.parts
        )
        self.large = _large_batches(recipe) if recipe.large else None
        self.network, self.likelihoods = self._networks()
        if recipe.rate == "rounded":
            self.likelihoods.gaussian = RoundedGaussian(None)
        self.network.start_from(self._first_pictures(), recipe.start_step)
        if not recipe.context:
            hold_at_zero(self.network)
        self.trained = nn.ModuleDict({"network": self.network, "likelihoods": self.likelihoods})
        self.average = AveragedModel(self.trained, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        self.module: nn.Module = nn.ModuleDict({"trained": self.trained, "average": self.average}).to(self.device)
        prepare(self.network, fast_layout=recipe.fast_layout)
        self.view = TrainingView(self.network, bf16=recipe.bf16 and on_gpu, compiled=recipe.compiled and on_gpu)
        self.own_parts = self.group.parts(recipe.parts)
        self.feed = Feed(self._draw, recipe.steps, self.own_parts, workers, pin=on_gpu)
        named = dict(self.trained.named_parameters())
        self.quantiles = [p for name, p in named.items() if name.endswith("quantiles")]
        self.weights = [p for name, p in named.items() if not name.endswith("quantiles") and p.requires_grad]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "main": torch.optim.Adam(self.weights, recipe.learning_rate, fused=on_gpu),
            "auxiliary": torch.optim.Adam(self.quantiles, recipe.auxiliary_rate, fused=on_gpu),
        }
        self.recorder = Recorder(recipe.recorded and on_gpu)

    def _networks(self) -> tuple[HierNetwork, Likelihoods]:
        """What is trained, untrained."""
        return HierNetwork(self.recipe.codec), Likelihoods(self.recipe.codec.N_hyper)

    def _rate(self, step: int) -> float:
        """Factor of the learning rate."""
        return one_cycle(step, self.recipe.steps)

    def update(self, step: int) -> dict[str, float]:
        r = self.recipe
        self.likelihoods.train()
        main, auxiliary = self.optimizers["main"], self.optimizers["auxiliary"]
        for group in main.param_groups:
            group["lr"] = r.learning_rate * self._rate(step)
        main.zero_grad(set_to_none=True)
        logs: list[dict[str, Tensor]] = []
        for part in self.own_parts:
            torch.manual_seed(hash((r.seed, step, part)) & 0x7FFFFFFF)
            images, labels = (t.to(self.device, non_blocking=True) for t in self.feed(step, part))
            logs.append(self._learn(step, images, labels))
        self.group.average(p.grad for p in self.weights)
        size = "large_" if self._is_large(step) else ""
        log = {key: torch.stack([each[key] for each in logs]).mean() for key in logs[0]}
        log[f"{size}gradient_{self._levels(step)[0] + 1}"] = nn.utils.clip_grad_norm_(self.weights, r.clip)
        main.step()
        auxiliary.zero_grad(set_to_none=True)
        self.recorder("auxiliary", self._learn_quantiles, self.quantiles)
        auxiliary.step()
        self.average.update_parameters(self.trained)
        return read_back(log)

    def _learn(self, step: int, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Gradients of one part of a batch; returns its log."""

        def learn(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
            loss, log = self._forward(step, images, labels)
            (loss / len(self.own_parts)).backward()
            return log

        return self.recorder(self._kind(step), learn, self.weights, images, labels)

    def _learn_quantiles(self) -> dict[str, Tensor]:
        self.likelihoods.bottleneck.loss().backward()
        return {}

    def _kind(self, step: int) -> Hashable | None:
        """Updates of one kind do the same with other pictures. None: this one is not to be recorded."""
        least, largest = self.recipe.y_step
        if len(self.own_parts) > 1 or least != largest:  # gradients that add up; a number that Python draws
            return None
        judge = self.loss.judge(step) if self._has_task(step) else None
        return (self._is_large(step), *self._levels(step), self._has_task(step), getattr(judge, "name", ""))

    def _forward(self, step: int, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and log of one part of a batch."""
        large, chosen = self._is_large(step), self._levels(step)
        judge, clean = self._judge(step, images)
        features = self.features if self._has_task(step) else None
        labels = labels if judge is None else self.rows[labels]
        y_step = self._y_step()
        walked = self.likelihoods(self.view, images, max(chosen) + 1, y_step)
        log: dict[str, Tensor] = {}
        loss = torch.zeros((), device=self.device)
        for level in chosen:
            terms = self.loss.terms(self.view, walked, images, labels, level, judge, clean, features)
            loss = loss + self.loss.total(terms, level, y_step)
            if not large:  # logged of one size only
                log |= {f"bytes_{level + 1}": terms.bits / 8, f"mse_{level + 1}": terms.mse}
            if judge is not None:
                log |= {f"right_{level + 1}": terms.right, f"nats_{level + 1}": terms.cross_entropy}
            if features is not None:
                log[f"lost_{level + 1}"] = terms.lost
        size = "large_" if large else ""
        log |= {f"{size}bytes_z": walked["bits_z"].mean() / 8, f"{size}loss_{chosen[0] + 1}": loss}
        return loss, {key: value.detach() for key, value in log.items()}

    def _judge(self, step: int, images: Tensor) -> tuple[classifiers.Classifier | None, Tensor | None]:
        """Who is asked at ``step`` (None: nobody), and what they say of the clean pictures where that is the target."""
        if not self._has_task(step):
            return None, None
        judge = self.loss.judge(step)
        if judge is None or self.recipe.target != "clean":
            return judge, None
        with torch.no_grad():
            return judge, self.view.ask(judge, images)

    def _has_task(self, step: int) -> bool:
        """Whether more than the picture counts at ``step``."""
        return not self._is_large(step) and step >= self.recipe.task_from * self.recipe.steps

    def _y_step(self) -> float:
        """A step of the recipe's range; nothing is drawn where there is only one."""
        least, largest = self.recipe.y_step
        return least if least == largest else least * (largest / least) ** torch.rand(1).item()

    def _levels(self, step: int) -> list[int]:
        levels = len(self.recipe.codec.blocks)
        return [step % levels] if self.recipe.one_level_a_step else list(range(levels))

    def _is_large(self, step: int) -> bool:
        return self.large is not None and step % self.recipe.large_every == self.recipe.large_every - 1

    def _source(self, step: int) -> Batches:
        return self.large if self.large is not None and self._is_large(step) else self.batches

    def _draw(self, step: int, part: int) -> tuple[Tensor, Tensor]:
        return self._source(step).batch(step, part)

    def _first_pictures(self) -> Tensor:
        """Up to 512 pictures, spread over the set, whose principal components start the linear path."""
        count = min(512, len(self.pictures))
        chosen = [i * len(self.pictures) // count for i in range(count)]
        if self.recipe.codec.linear_path:
            return self.batches.read(np.array(chosen), np.random.default_rng(self.recipe.seed))
        return torch.empty(0)

    def batch_at(self, step: int) -> dict[str, Any]:
        """Set, keys and labels of the pictures of this process's parts of update ``step``."""
        source = self._source(step)
        chosen = [int(i) for part in self.own_parts for i in source.indices(step, part)]
        of_large = source is self.large
        keys = chosen if of_large else [self.pictures.keys[i] for i in chosen]
        name = self.recipe.large if of_large else self.pictures.name
        return {"pictures": name, "keys": keys, "labels": [int(source.labels[i]) for i in chosen]}

    def begin_from(self, name: str) -> str:
        """Load weights to go on from; returns their recipe's name and their file's digest, which the new ones keep."""
        path = weights.locate(name)
        origin = TrainableCodec.from_file(path)
        self._take(origin.network.state_dict(), origin.likelihoods.state_dict(), path)
        return f"{origin.about.get('name', path.stem)} {digest(path)}"

    def _take(self, network: Mapping[str, Tensor], likelihoods: Mapping[str, Tensor], path: Path) -> None:
        """Weights of ``path``. Raises CheckpointError where they are of other networks."""
        try:
            self.network.load_state_dict(network)
            self.likelihoods.load_state_dict(likelihoods, strict=False)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{path} does not fit recipe {self.recipe.name}: {reason}") from None
        self.average.module.load_state_dict(self.trained.state_dict())

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
    workers: int | None = None,
    checkpoint_every_s: float = 120,
    every_log: Callable[[dict], None] | None = None,
    make: type[CodecTask] = CodecTask,
) -> Path:
    """Train as ``recipe`` says; returns the path of the weights, ``folder/codec.safetensors``.

    resume: go on from the folder's last checkpoint if there is one (made by the same recipe). start_from: name or
    path of weights to begin from. device: CUDA if there is one, if None. workers: processes that make batches ahead
    (``feed.workers_for`` if None); they change nothing but the speed. make: the task, a peer has its own.
    Under torchrun every process calls this.
    Raises DataError for missing pictures, CheckpointError for weights of another shape, TrainingError when a number is
    not finite.
    """
    folder, group = Path(folder), join(device)
    workers = workers_for(group.device, workers)
    try:
        task = make(recipe, training_set(recipe.pictures, recipe.seed, recipe.listing), group, workers)
        origin = task.begin_from(start_from) if start_from else ""
        group.share(task.module.state_dict().values())
        about = {"name": recipe.name, "recipe": recipe.to_json(), "start_from": origin, "seed": recipe.seed}
        about |= {"pictures": identity(task.pictures)}
        done = run(
            task, folder, recipe.steps, about,
            resume=resume, checkpoint_every_s=checkpoint_every_s, every_log=every_log, group=group,
        )  # fmt: skip
        path = folder / "codec.safetensors"
        if group.leads:
            machine = {"torch": torch.__version__, "device": group.device, "processes": group.world}
            task.save_weights(path, {**about, "steps": done, **machine})
            if recipe.listing or ":" in recipe.pictures:  # the subset is put on record, as a listing
                write_bytes(folder / "pictures.txt", "".join(f"{key}\n" for key in task.pictures.keys).encode())
        group.wait()
    finally:
        leave()
    return path


def _large_batches(recipe: Recipe) -> Batches:
    """As many pixels a batch as the others have."""
    pictures = training_set(recipe.large, recipe.seed)
    read = from_disk(pictures, recipe.large_size)
    return Batches(read, pictures.labels, recipe.large_count, recipe.seed, flip, recipe.parts)
