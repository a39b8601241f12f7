"""The paper's ablations: one recipe for each arm, and one way to measure them all.

``python -m hierlib train ablation-no-delta --set seed=1 --run runs/ablations/no-delta-1`` trains an arm and leaves
``curve.json`` beside its weights; ``evaluation.ablations`` makes the table of all arms under a folder, and
``views.ablations`` the figure.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from .. import classifiers, hierarchy
from ..codec.config import TINY
from ..codec.trainable import TrainableCodec
from ..files import write_json
from ..images.packs import PictureSet
from .loss import received
from .recipe import Recipe
from .recipes import RECIPES

BUDGETS = (32, 48, 64, 96, 128, 192, 256, 384)
PREFIX = "ablation-"


def _family() -> dict[str, Recipe]:
    """Base: TINY, all that the paper claims, for 4,000 steps of which the second half asks what pictures show."""
    base = replace(
        RECIPES["tiny64-rd"], steps=4000, classifier="tiny", gamma=(0.15, 0.2, 0.3), task_from=0.5, name=f"{PREFIX}base"
    )
    changes: dict[str, dict[str, Any]] = {
        "base": {},
        "no-delta": {"codec": replace(TINY, delta_dim=0)},
        # {128,96,96} is the base; the others of the paper's Table, scaled from M = 320 to 160
        "split-96-128-96": {"codec": replace(TINY, blocks=(48, 112, 160))},
        "split-96-96-128": {"codec": replace(TINY, blocks=(48, 96, 160))},
        "split-107-107-106": {"codec": replace(TINY, blocks=(54, 107, 160))},
        "one-block": {"codec": replace(TINY, blocks=(160,)), "lam": (1e-2,), "gamma": (0.3,), "level_weight": (1.0,)},
        "channel-order": {"order": "channel"},
        "raster-order": {"order": "raster"},
        "no-context": {"context": False},
        "count-block": {"count": "block"},
        "rounded-rate": {"rate": "rounded"},
    }
    return {f"{PREFIX}{arm}": replace(base, **{"name": f"{PREFIX}{arm}", **change}) for arm, change in changes.items()}


ABLATIONS = _family()


@torch.inference_mode()
def measure(
    path: Path, recipe: Recipe, pictures: PictureSet, budgets: tuple[int, ...] = BUDGETS, device: str | None = None
) -> list[dict]:
    """What a codec shows of ``pictures`` at byte budgets, in the order that ``recipe`` says: a row for each budget.

    Bytes are ideal code lengths of z and symbols (orders that the stream does not have cannot be written); for the
    stream's own order real files are longer by header, checks and trailer. Keys: budget_bytes, bytes (mean, of pictures
    that end before the budget fewer), psnr_db (mean over pictures), right_<level> for each level of the hierarchy.
    device: CUDA if there is one, if None.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = TrainableCodec.from_file(path).to(device)
    network, likelihoods = model.network, model.likelihoods
    judge = classifiers.restrict(classifiers.load(recipe.classifier, device), pictures.wnids)
    table = hierarchy.load(recipe.hierarchy).restrict(pictures.wnids)
    sums: list[dict[str, float]] = [{} for _ in budgets]
    count = 32 if device == "cpu" else 256  # at a time
    for first in range(0, len(pictures), count):
        chosen = range(first, min(first + count, len(pictures)))
        images, labels = pictures.batch(chosen).to(device), pictures.labels[chosen.start : chosen.stop]
        walked = likelihoods(network, images)
        for row, budget in zip(sums, budgets, strict=True):
            known, spent = [], walked["bits_z"].clone()
            for part in walked["blocks"]:
                shown, bits = received(part, (8 * budget - spent).clamp(min=0), recipe.order)
                begun = (spent < 8 * budget).view(-1, 1, 1, 1)  # channels of blocks not begun are zero
                known.append(shown * begun)
                spent = spent + bits
            x_hat = network.synthesise(torch.cat(known, 1)).clamp(0, 1)
            mse = F.mse_loss(x_hat, images, reduction="none").mean((1, 2, 3))
            found = {"bytes": spent / 8, "psnr_db": -10 * mse.log10()}
            logits = judge(x_hat)
            for level, groups in zip(table.levels, table.groups, strict=True):
                answers = table.log_probabilities(logits, level).argmax(1)
                found[f"right_{level}"] = (answers == torch.from_numpy(groups[labels]).to(device)).float()
            for key, values in found.items():
                row[key] = row.get(key, 0.0) + float(values.sum())
    return [
        {"budget_bytes": budget, **{key: value / len(pictures) for key, value in row.items()}}
        for row, budget in zip(sums, budgets, strict=True)
    ]


def write_curve(path: Path, recipe: Recipe, pictures: PictureSet, device: str | None = None) -> Path:
    """Measure the weights at ``path`` and write ``curve.json`` beside them. device: as ``measure`` has it."""
    curve = path.with_name("curve.json")
    arm = recipe.name.removeprefix(PREFIX)
    found = {"arm": arm, "seed": recipe.seed, "steps": recipe.steps, "pictures": f"{len(pictures)} of {pictures.name}"}
    write_json(curve, {**found, "rows": measure(path, recipe, pictures, device=device)})
    return curve
