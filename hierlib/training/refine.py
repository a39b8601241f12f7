"""An encoder that searches: the y of one picture is trained for a while before it is written.

g_a answers at once, with what suits the average picture. Here the loss of the codec's own recipe goes on over a single
picture, with y in place of the weights (Campos et al. 2019): file, decoder and fingerprint stay what they are, only
encoding takes longer. Each symbol is drawn between its two nearest integers, ever more surely (stochastic Gumbel
annealing, Yang et al. 2020). An encoder knows no label: what the classifier says of the picture before coding is the
target.

codec = refine.load("tiny")
stream = codec.encode(image)             # hierlib.load("tiny") decodes it, and any prefix of it
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import classifiers, hierarchy
from ..baselines import REFINED
from ..codec import weights
from ..codec.likelihood import MAX_LOG_SIGMA
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..codec.tables import LOG_SIGMA_MIN
from ..errors import CheckpointError, DataError, PictureError
from .features import Features
from .loss import LevelLoss
from .mixed import TrainingView
from .recipe import Recipe, changed, from_json

# All that leads from y to the loss is kept for the gradient: 3 to 7 kB a pixel with the networks of `tiny`.
LARGEST_PIXELS, TOGETHER_PIXELS = 1 << 20, 1 << 18  # of a picture; of several that are searched for together

# What a search minds beside the recipe of the weights. Answers of the one classifier find what that one wants to see:
# with more of its feature maps kept than `photo` kept in its training, others see more of it.
BESIDE: dict[str, tuple[str, ...]] = {
    "photo": ("features=mobilenet_edgetpu_1.0@160", "feature_weight=(0.6,1.2,2.4)"),
}


@dataclass(frozen=True)
class Search:
    """How long and how boldly y is searched for.

    steps: updates, of one level each, by turns. rate: of Adam, in quantisation steps; it falls over the second half.
    temperature: of the draws, at the first update and at the last. answers: how many times the recipe's gamma a nat
    costs. cut_every: of each level every so many-th update is without a cut inside the block. seed: of the draws; the
    same picture gives the same bytes on the same machine.
    """

    steps: int = 60
    rate: float = 0.03
    temperature: tuple[float, float] = (0.5, 0.1)
    answers: float = 2.0
    cut_every: int = 4
    seed: int = 0


class RefiningCodec(HierCodec):
    """Encodes with a search for y; all else is the codec whose weights it has. ``load`` makes one."""

    together = True  # several of one size are encoded much quicker than one by one
    search: dict[str, Any]  # plain, so that results say it

    def looks_for(self, recipe: Recipe, search: Search) -> None:
        """By which loss to search. Raises DataError for a classifier, or a hierarchy, that is not at hand."""
        self.search = {**asdict(search), "recipe": recipe.name, **{k: getattr(recipe, k) for k in _SAID}}
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
        """Pictures (B, 3, H, W) in [0, 1] -> y, searched for, and z, as the network gives it.

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
        values = [self.hyper_values(each[None]) for each in z]
        z_hat = torch.cat([self.z_hat(each, *z.shape[2:]) for each in values])
        bits_z = [self.z_tables.ideal_bits(each, self.hyper_rows(*z.shape[2:])) for each in values]
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng():
            torch.manual_seed(self._search.seed)
            return self._searched(images.clone(), y.clone(), z_hat.clone(), y.new_tensor(bits_z)), z

    def _searched(self, images: Tensor, y: Tensor, z_hat: Tensor, bits_z: Tensor) -> Tensor:
        s, view = self._search, _CroppedView(self.network, *images.shape[2:])
        judge = self._loss.judges[0] if self._loss.judges else None
        labels, clean = torch.zeros(len(images), dtype=torch.long), None
        if judge is not None:
            with torch.no_grad():
                clean = judge(images)
            labels = clean.argmax(1)
        y = y.detach().requires_grad_()
        adam = torch.optim.Adam([y], s.rate)
        for step in range(s.steps):
            done = step / s.steps
            adam.param_groups[0]["lr"] = s.rate * min(1.0, 2 * (1 - done))
            hot, cold = s.temperature
            turn, level = divmod(step, self.levels)
            coder = DrawingCoder(y, self.slices, hot * (cold / hot) ** done)
            self.network.entropy.walk(z_hat, coder, level + 1)
            loss = self._uncut if turn % s.cut_every == s.cut_every - 1 else self._loss
            walked = {"blocks": coder.blocks, "bits_z": bits_z}
            terms = loss.terms(view, walked, images, labels, level, judge, clean, self._features)
            adam.zero_grad()
            (loss.total(terms, level) * len(images)).backward()  # the sum over pictures, however many
            adam.step()
        return y.detach()


_SAID = ("lam", "gamma", "level_weight", "classifier", "features", "feature_weight", "jitter")


class DrawingCoder:
    """The fourth coder of the walk: symbols drawn between their two nearest integers, softly, and what they cost."""

    def __init__(self, y: Tensor, slices: Sequence[tuple[int, int]], temperature: float):
        self.y, self.slices, self.temperature = y, slices, temperature
        self.blocks: list[dict[str, Tensor]] = []

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        low, high = self.slices[block]
        away = self.y[:, low:high].to(mu.dtype) - mu
        below = away.detach().floor()
        q = below + _drawn((away - below).clamp(1e-4, 1 - 1e-4), self.temperature)
        bits = gaussian_bits(q, log_sigma)
        part = {"y_hat": q + mu, "mu": mu, "log_sigma": log_sigma, "bits": bits}
        self.blocks.append({name: value.float() for name, value in part.items()})  # what g_s and the loss compute with
        return part["y_hat"]


def _drawn(above: Tensor, temperature: float) -> Tensor:
    """How far above the lower integer, in (0, 1) -> nearly 0 or nearly 1: a relaxed draw, likelier the nearer one."""
    gumbel = -torch.log(-torch.log(torch.rand(2, *above.shape, device=above.device).clamp(1e-6, 1 - 1e-6)))
    far = torch.atanh(1 - above) - torch.atanh(above)  # logit of the upper integer over the lower, times minus 1
    return torch.sigmoid((-far / temperature + gumbel[0] - gumbel[1]) / temperature)


def gaussian_bits(q: Tensor, log_sigma: Tensor) -> Tensor:
    """Bits of a value q, an integer or near one, under a Gaussian of mean 0 that is summed over unit intervals.

    As CompressAI's GaussianConditional, in logarithms: a value far outside still has a gradient.
    """
    sigma = log_sigma.clamp(LOG_SIGMA_MIN, MAX_LOG_SIGMA).exp()
    upper = torch.special.log_ndtr((0.5 - q.abs()) / sigma)
    lower = torch.special.log_ndtr((-0.5 - q.abs()) / sigma)
    return -(upper + torch.log1p(-(lower - upper).exp())) / math.log(2)


class _CroppedView(TrainingView):
    """Of a padded picture, the part that is shown."""

    def __init__(self, network: HierNetwork, height: int, width: int):
        super().__init__(network)
        self.height, self.width = height, width

    def synthesise(self, y_hat: Tensor) -> Tensor:
        return super().synthesise(y_hat)[:, :, : self.height, : self.width]


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
    recipe = changed(from_json(about["recipe"]), [*BESIDE.get(codec.name, ()), *changes])
    codec.name += REFINED
    codec.looks_for(recipe, search or Search())
    return codec
