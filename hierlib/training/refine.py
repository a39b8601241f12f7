"""An encoder that searches: y and z of one picture are trained for a while before they are written.

g_a and h_a answer at once, with what suits the average picture. Here the loss of the codec's own recipe goes on over a
single picture, with y and z in place of the weights (Campos et al. 2019): file, decoder and fingerprint stay what they
are, only encoding takes longer. Each symbol is drawn between its two nearest integers, ever more surely (stochastic
Gumbel annealing, Yang et al. 2020; ``draws``). An encoder knows no label: what the classifier says of the picture
before coding is the target.

codec = refine.load("tiny")
stream = codec.encode(image)             # hierlib.load("tiny") decodes it, and any prefix of it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import classifiers, hierarchy
from ..baselines import REFINED
from ..codec import weights
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..errors import CheckpointError, DataError, PictureError
from .draws import DrawingCoder, HyperDraws
from .features import Features
from .loss import LevelLoss
from .mixed import TrainingView
from .recipe import Recipe, changed, from_json

# All that leads from y to the loss is kept for the gradient: 3 to 7 kB a pixel with the networks of `tiny`.
LARGEST_PIXELS, TOGETHER_PIXELS = 1 << 20, 1 << 18  # of a picture; of several that are searched for together


@dataclass(frozen=True)
class Beside:
    """What a search minds beside the recipe of the weights. changes: of the recipe. hyper_rate: see ``Search``."""

    changes: tuple[str, ...] = ()
    hyper_rate: float = 0.0


# In training every gradient is as long as ``clip``, so that all levels count alike; here it is as it comes, and the
# last level's would drown the first's. Answers of the one classifier find what that one wants to see: with more of its
# feature maps kept than `photo` kept in its training, others see more of it. Changing z did nothing for `photo`.
BESIDE = {
    **dict.fromkeys(("tiny", "tiny-plain", "tiny-long"), Beside(("level_weight=(30.0,3.0,1.0)",), 0.03)),
    "photo": Beside(("features=mobilenet_edgetpu_1.0@160", "feature_weight=(0.6,1.2,2.4)")),
}


@dataclass(frozen=True)
class Search:
    """How long and how boldly y and z are searched for.

    steps: updates, of one level each, by turns. rate, hyper_rate: of Adam, for y and for z, in quantisation steps; they
    fall over the second half; with a hyper_rate of 0 z is what h_a makes of g_a's y; None: what suits the weights.
    temperature: of the draws, at the first update and at the last. answers: how many times the recipe's gamma a nat
    costs. cut_every: of each level every so many-th update is without a cut inside the block. seed: of the draws; the
    same picture gives the same bytes on the same machine.
    """

    steps: int = 60
    rate: float = 0.03
    hyper_rate: float | None = None
    temperature: tuple[float, float] = (0.5, 0.1)
    answers: float = 2.0
    cut_every: int = 4
    seed: int = 0


class RefiningCodec(HierCodec):
    """Encodes with a search for y and z; all else is the codec whose weights it has. ``load`` makes one."""

    together = True  # several of one size are encoded much quicker than one by one
    search: dict[str, Any]  # plain, so that results say it

    def looks_for(self, recipe: Recipe, search: Search) -> None:
        """By which loss to search. Raises DataError for a classifier, or a hierarchy, that is not at hand."""
        self.search = said(recipe, search)
        self._search, gamma = search, tuple(search.answers * each for each in recipe.gamma)
        loss = replace(recipe, gamma=gamma, target="clean", label_smoothing=0.0, cut_share=1.0)
        table, judges = hierarchy.load(recipe.hierarchy), []
        try:
            if recipe.classifier and any(recipe.gamma):
                judge = classifiers.load(recipe.classifier, self.device)
                table = table.restrict(judge.wnids)
                judges.append(classifiers.restrict(judge, table.wnids))
            self._features = Features(recipe.features, self.device) if recipe.features else None
        except DataError as error:
            alone = f"gamma=({', '.join(['0.0'] * self.levels)})"
            raise DataError(
                f"{error} Or change what is searched by: features= asks for no feature maps, {alone} for no answers "
                "(--set FIELD=VALUE)."
            ) from None
        self._loss = LevelLoss(loss, table, judges)
        self._uncut = LevelLoss(replace(loss, cut_share=0.0), table, judges)

    def latents(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) in [0, 1] -> y and z, searched for.

        Raises PictureError for pictures of more than 2^20 pixels.
        """
        height, width = images.shape[2:]
        if height * width > LARGEST_PIXELS:
            raise PictureError(
                f"The picture has {width} x {height} pixels; a search keeps all of them for its gradient and takes up "
                f"to {LARGEST_PIXELS:,}: shrink it, or encode it without a search."
            )
        most = max(1, TOGETHER_PIXELS // (height * width))
        parts = [self._latents(part) for part in images.split(most)]
        return torch.cat([y for y, _ in parts]), torch.cat([z for _, z in parts])

    def _latents(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Of pictures that are searched for together."""
        y, z = super().latents(images)
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng():
            torch.manual_seed(self._search.seed)
            return self._searched(images.clone(), y.clone(), z.clone())

    def _searched(self, images: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        s, view = self._search, _CroppedView(self.network, *images.shape[2:])
        judge = self._loss.judges[0] if self._loss.judges else None
        labels, clean = torch.zeros(len(images), dtype=torch.long), None
        if judge is not None:
            with torch.no_grad():
                clean = judge(images)
            labels = clean.argmax(1)
        y, hyper = y.detach().requires_grad_(), HyperDraws(z, self.medians, self.z_tables)
        searched = [(y, s.rate), *([(hyper.centred, s.hyper_rate)] if s.hyper_rate else [])]
        adam = torch.optim.Adam([{"params": [values]} for values, _ in searched])
        unsearched = None if s.hyper_rate else hyper.draw(0.0)
        for step in range(s.steps):
            done = step / s.steps
            for group, (_, rate) in zip(adam.param_groups, searched, strict=True):
                group["lr"] = rate * min(1.0, 2 * (1 - done))
            hot, cold = s.temperature
            temperature = hot * (cold / hot) ** done
            turn, level = divmod(step, self.levels)
            z_hat, bits_z = unsearched or hyper.draw(temperature)
            coder = DrawingCoder(y, self.slices, temperature)
            self.network.entropy.walk(z_hat, coder, level + 1)
            loss = self._uncut if turn % s.cut_every == s.cut_every - 1 else self._loss
            walked = {"blocks": coder.blocks, "bits_z": bits_z}
            terms = loss.terms(view, walked, images, labels, level, judge, clean, self._features)
            adam.zero_grad()
            (loss.total(terms, level) * len(images)).backward()  # the sum over pictures, however many
            adam.step()
        return y.detach(), z if unsearched else hyper.z


class _CroppedView(TrainingView):
    """Of a padded picture, the part that is shown."""

    def __init__(self, network: HierNetwork, height: int, width: int):
        super().__init__(network)
        self.height, self.width = height, width

    def synthesise(self, y_hat: Tensor) -> Tensor:
        return super().synthesise(y_hat)[:, :, : self.height, : self.width]


def settled(name: str, recipe: dict[str, Any], search: Search, changes: Sequence[str] = ()) -> tuple[Recipe, Search]:
    """By which recipe, and how, weights of this name and recipe are searched with: ``BESIDE``, then ``changes``."""
    beside = BESIDE.get(name, Beside())
    if search.hyper_rate is None:
        search = replace(search, hyper_rate=beside.hyper_rate)
    return changed(from_json(recipe), [*beside.changes, *changes]), search


def said(recipe: Recipe, search: Search) -> dict[str, Any]:
    """What results say of a search."""
    fields = ("lam", "gamma", "level_weight", "classifier", "features", "feature_weight", "jitter")
    return {**asdict(search), "recipe": recipe.name, **{field: getattr(recipe, field) for field in fields}}


def load(
    name: str | Path = "tiny", search: Search | None = None, changes: Sequence[str] = (), device: str = "cpu"
) -> RefiningCodec:
    """A codec of ours that searches while it encodes, under the recipe that its weights were trained by, and what else
    a search by them minds (``BESIDE``).

    name: as ``hierlib.load`` takes it. changes: ``field=value`` of that recipe, as ``train --set`` takes them:
    ``features=`` to ask a classifier for nothing but its answers.
    Raises CheckpointError for weights of another method or without a recipe, RecipeError for a field that there is not,
    DataError for a classifier that is not at hand.
    """
    codec = weights.load(name, device, [RefiningCodec])
    assert isinstance(codec, RefiningCodec)
    _, about = weights.read(weights.locate(name))
    if "recipe" not in about:
        raise CheckpointError(f"{name} does not say by which recipe it was trained: its loss cannot be gone on with.")
    recipe, search = settled(codec.name, about["recipe"], search or Search(), changes)
    codec.name += REFINED
    codec.looks_for(recipe, search)
    return codec
