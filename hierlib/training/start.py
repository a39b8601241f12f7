"""A run by the name of its recipe: codecs and classifiers alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from .recipe import Recipe, changed
from .recipes import EXPECT, RECIPES

UNSEEN = "tiny-imagenet-val"  # what the arms of the ablations are measured on


def codec_recipe(name: str, others: Sequence[str] = ()) -> Recipe:
    """A codec's recipe by name: ours, an arm of the ablations, a peer's. others: what else may be named.

    Raises RecipeError for an unknown one.
    """
    from .ablation import ABLATIONS
    from .peers import PEERS

    codecs = {**RECIPES, **ABLATIONS, **PEERS}
    if name not in codecs:
        raise RecipeError(f"There is no recipe {name}: known are {', '.join([*codecs, *others])}.")
    return codecs[name]


def train_codec(recipe: Recipe, folder: str | Path, **how: Any) -> Path:
    """``trainer.train`` for any codec's recipe: what an update is follows from it. how: as there."""
    from .peers import PeerRecipe, PeerTask
    from .trainer import CodecTask, train

    return train(recipe, folder, make=PeerTask if isinstance(recipe, PeerRecipe) else CodecTask, **how)


def start(
    name: str,
    folder: Path,
    *,
    steps: int | None = None,
    resume: bool = True,
    start_from: str = "",
    changes: Sequence[str] = (),
    workers: int | None = None,
) -> Path:
    """Train what ``name`` says in ``folder``; returns the path of the weights.

    name: a codec's recipe (ci, tiny64, photo192, paper, ablation-base, ...) a classifier's (tiny-classifier, ...),
        or one of CompressAI's architectures (zoo64-mbt2018-mean, ...); a peer's (progdtd64-start, ...); or the
        networks of CTC (ctc64), which need ``start_from``, a backbone.
    steps, start_from, changes (``field=value``), workers: of a codec only, see ``train`` and ``changed``.
    Raises RecipeError for an unknown name or field.
    """
    from .ablation import ABLATIONS, write_curve
    from .classifier import CLASSIFIERS, train_classifier
    from .contexts import CONTEXTS, train_contexts
    from .data import training_set
    from .peers import EXPECT as EXPECT_OF_PEERS
    from .peers import PEERS
    from .zoo import ZOO, train_zoo

    of_classifier = {r.name: r for r in CLASSIFIERS.values()}
    if name in of_classifier or name in ZOO:
        if steps is not None or start_from or changes or workers is not None:
            what = "a classifier" if name in of_classifier else "CompressAI's"
            raise RecipeError(f"{name} is {what}: all that decides its weights is its recipe's.")
        if name in ZOO:
            return train_zoo(ZOO[name], folder, resume=resume)
        return train_classifier(of_classifier[name], folder, resume=resume)
    if name in CONTEXTS:
        if steps is not None or changes or workers is not None or not start_from:
            raise RecipeError(f"{name} trains CTC's networks on a backbone: give it by --start-from, and nothing else.")
        return train_contexts(CONTEXTS[name], folder, start_from, resume=resume)
    chosen = changed(codec_recipe(name, [*of_classifier, *ZOO, *CONTEXTS]), list(changes))
    if steps is not None:
        chosen = replace(chosen, steps=steps)
    leads = os.environ.get("RANK", "0") == "0"  # of torchrun's processes
    expected = EXPECT_OF_PEERS.get(PEERS[name].method) if name in PEERS else EXPECT.get(name)
    if expected and leads:
        print(f"{name}: {expected}")
    path = train_codec(chosen, folder, resume=resume, start_from=start_from, workers=workers)
    if name in ABLATIONS and leads:
        print(write_curve(path, chosen, training_set(UNSEEN)))
    return path
