"""A run by the name of its recipe: codecs and classifiers alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import RecipeError
from .recipe import RECIPES


def start(name: str, folder: Path, *, steps: int | None = None, resume: bool = True, start_from: str = "") -> Path:
    """Train what ``name`` says in ``folder``; returns the path of the weights.

    name: a codec's recipe (ci, tiny64-rd, tiny64, paper) or a classifier's (tiny-classifier, shapes-classifier).
    steps, start_from: of a codec only, see ``train``. Raises RecipeError for an unknown name.
    """
    from .classifier import CLASSIFIERS, train_classifier
    from .trainer import train

    of_classifier = {r.name: r for r in CLASSIFIERS.values()}
    if name in of_classifier:
        if steps is not None or start_from:
            raise RecipeError(f"{name} is a classifier: its length is its recipe's, and it starts from nothing.")
        return train_classifier(of_classifier[name], folder, resume=resume)
    if name not in RECIPES:
        raise RecipeError(f"There is no recipe {name}: known are {', '.join([*RECIPES, *of_classifier])}.")
    chosen = RECIPES[name] if steps is None else replace(RECIPES[name], steps=steps)
    return train(chosen, folder, resume=resume, start_from=start_from)
