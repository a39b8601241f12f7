"""Train a peer whose networks or losses are its own (ProgDTD, DeepHQ, ..), as long and on the same pictures as ours.

The peer's file says what an update looks at (``Lessons``) and which networks a stage trains; rate, squared error, task
loss, optimisers, schedule and checkpoints are the trainer's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import baselines
from ..baselines.lessons import Lessons
from ..codec import weights
from ..codec.config import MICRO, TINY, CodecConfig
from ..codec.likelihood import Likelihoods
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..errors import CheckpointError, RecipeError
from ..files import digest
from .loop import one_cycle
from .loss import level_cross_entropy
from .recipe import Recipe
from .recipes import RECIPES
from .trainer import CodecTask


@dataclass(frozen=True)
class PeerRecipe(Recipe):
    """A recipe of a method. Its lam are those that the method's lessons name, its gamma's last value is the price of a
    nat at the finest level; what concerns levels and cuts is not used. stages: share of the run that each has, with a
    learning-rate cycle of its own.
    """

    method: str = ""
    stages: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in baselines.METHODS:
            raise RecipeError(f"{self.name}: no method is called {self.method!r}.")
        if min(self.stages) <= 0 or abs(sum(self.stages) - 1) > 1e-6:
            raise RecipeError(f"{self.name}: stages are {self.stages}, they are shares of the run that add up to 1.")

    def stage(self, step: int) -> tuple[int, int, int]:
        """The stage of update ``step``, its first update, and the first after it."""
        ends = [round(sum(self.stages[: i + 1]) * self.steps) for i in range(len(self.stages))]
        number = next((i for i, end in enumerate(ends) if step < end), len(ends) - 1)
        return number, (0, *ends)[number], ends[number]


class PeerTask(CodecTask):
    """One update of a peer."""

    recipe: PeerRecipe
    likelihoods: Lessons

    def _networks(self) -> tuple[HierNetwork, Likelihoods]:
        method = baselines.methods()[self.recipe.method]
        return method.networks(self.recipe.codec), method.lessons(self.recipe.codec.N_hyper)  # type: ignore[attr-defined]

    def _rate(self, step: int) -> float:
        _, first, end = self.recipe.stage(step)
        return one_cycle(step - first, end - first)

    def _levels(self, step: int) -> list[int]:
        return [0]

    def _forward(self, step: int, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        r, stage = self.recipe, self.recipe.stage(step)[0]
        self._teach(stage)
        size = "large_" if self._is_large(step) else ""
        judge, clean = self._judge(step, images) if r.gamma[-1] > 0 else (None, None)
        labels = labels if judge is None else self.rows[labels]
        log: dict[str, Tensor] = {}
        loss = torch.zeros((), device=self.device)
        for number, shown in enumerate(self.likelihoods.shown(self.view, images, stage), 1):  # type: ignore[arg-type]
            bits = shown.bits.mean()
            mse = ((shown.x_hat - images) ** 2).mean() * 255**2
            error = shown.share * r.lam[shown.lam] / shown.y_step**2 * mse
            loss = loss + bits / images[0, 0].numel() + error + shown.beside
            log |= {f"{size}bytes_{number}": bits / 8, f"{size}mse_{number}": mse}
            if judge is not None and shown.share:
                logits = self.view.ask(judge, shown.x_hat.clamp(0, 1))
                nats, right = level_cross_entropy(
                    logits, labels, self.loss.hierarchy, len(self.loss.hierarchy.levels) - 1, r.label_smoothing, clean
                )
                loss = loss + shown.share * r.gamma[-1] * nats
                log |= {f"right_{number}": right, f"nats_{number}": nats}
        log[f"{size}loss_{stage + 1}"] = loss
        return loss, {key: value.detach() for key, value in log.items()}

    def _kind(self, step: int) -> None:
        """What is taught changes with the stage: no update is recorded."""

    def _teach(self, stage: int) -> None:
        """Gradients for what the stage trains, and for nothing else."""
        self.network.requires_grad_(False)
        for parameter in self.likelihoods.taught(self.network, stage):
            parameter.requires_grad_(True)

    def begin_from(self, name: str) -> str:
        """As ``CodecTask.begin_from``. Also from a backbone (trits64-start) whose networks are the peer's: what it has
        beside them stays as it starts.
        """
        path = weights.locate(name)
        tensors, about = weights.read(path)
        method = about.get("method", HierCodec.method)
        if method not in (self.recipe.method, HierCodec.method):
            raise CheckpointError(f"{path} is of method {method}, not of {self.recipe.method}, and no backbone.")
        parts: dict[str, dict[str, Tensor]] = {
            part: {k.removeprefix(part): v.float() for k, v in tensors.items() if k.startswith(part)}
            for part in ("network.", "likelihood.")
        }
        if method == HierCodec.method:
            parts["network."] = {**self.network.state_dict(), **parts["network."]}
        self._take(parts["network."], parts["likelihood."], path)
        return f"{about.get('name', path.stem)} {digest(path)}"

    def save_weights(self, path: Path, about: dict) -> None:
        super().save_weights(path, {**about, "method": self.recipe.method})


def _of(method: str, base: str, name: str, codec: CodecConfig, **changes: Any) -> PeerRecipe:
    """A recipe of ours as one of a peer."""
    count = len(codec.blocks)
    fields = {**vars(RECIPES[base]), "lam": (1e-2,) * count, "gamma": (0.0,) * count, "level_weight": (1.0,) * count}
    fields |= {"cut_share": 0.0, "jitter": 0.0, "features": "", "feature_weight": ()}
    fields |= {"name": name, "codec": codec, "method": method, **changes}
    return PeerRecipe(**fields)


def _family(method: str, tiny: CodecConfig, micro: CodecConfig, stages: tuple[float, ...], **changes: Any) -> None:
    """``-start``, and from it the two regimes; and a small one that shows how it is done."""
    count = len(tiny.blocks)
    begun = _of(method, "tiny64-rd", f"{method}64-start", tiny, **changes)
    plain = _of(method, "tiny64", f"{method}64-rd", tiny, classifier="", stages=stages, **changes)
    task = replace(plain, name=f"{method}64", classifier="tiny", gamma=(0.0,) * (count - 1) + (0.3,))
    brief = {key: v[: len(micro.blocks)] if isinstance(v, tuple) else v for key, v in changes.items()}
    small = _of(method, "ci", f"ci-{method}", micro, stages=stages, pictures="shapes:300", steps=300, **brief)
    for each in (begun, plain, task, replace(small, gamma=(0.0,) * (len(micro.blocks) - 1) + (0.05,))):
        PEERS[each.name] = each


PEERS: dict[str, PeerRecipe] = {}
EXPECT = {  # a step: processor time on one thread beside 0.3 to 0.5 s of trits64-start, without the task loss
    "progdtd": "Seen: 0.4 s a step on one thread. Groups of z and y in turns, both tails dropped.",
    "deephq": "Seen: 0.33 to 0.38 s a step on one thread; plonq64-rd 0.33 s. The finest step, all steps, masks: 10, 60 "
    "and 30 % of the run that follows -start.",
    "efficientpic": "Seen: 0.55 s a step on one thread in the first stage, 0.25 in the other two (60, 25, 15 % of the "
    "run that follows -start).",
    "limitnet": "Seen: 0.14 s a step on one thread. Tail drop, then the saliency, then as before; limitnet64 asks the "
    "classifier in the third stage (10, 30, 60 % of the run that follows -start).",
}
_family(
    "progdtd",
    replace(TINY, blocks=(40, 80, 120, 160), delta_dim=0),
    replace(MICRO, blocks=(14, 28, 42, 56), delta_dim=0),
    (1.0,),
)
_family(
    "efficientpic",
    replace(TINY, blocks=(32, 64, 96, 128, 160), delta_dim=0),
    replace(MICRO, blocks=(28, 56), delta_dim=0),
    (0.6, 0.25, 0.15),
    lam=(2.75e-3, *(2e-2,) * 4),  # of base and top, each at half a share; 7.3 times apart, as in the paper
    start_step=128.0,  # the base's, the top's is half: from 64 and 32 both held a third more bytes for long
)
_family(
    "deephq",
    replace(TINY, blocks=(160,), delta_dim=0),
    replace(MICRO, blocks=(56,), delta_dim=0),
    (0.1, 0.6, 0.3),
)
_family(
    "limitnet",
    replace(TINY, blocks=(12,), N_hyper=13, delta_dim=0),  # priors: one a channel, and the saliency's
    replace(MICRO, blocks=(12,), N_hyper=13, delta_dim=0),
    (0.1, 0.3, 0.6),
    task_from=0.4,
)
