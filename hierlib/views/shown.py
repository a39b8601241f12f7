"""Tells IPython which of our types are shown by ``views.rich``. Light: called as hierlib is imported in a notebook."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

TYPES = {  # of objects, and who shows them in hierlib.views.rich
    ("hierlib.codec.protocol", "Decoded"): "decoded_html",
    ("hierlib.codec.model", "HierCodec"): "codec_html",
    ("hierlib.baselines.jpeg2000", "LayeredJPEG2000"): "peer_html",
    ("hierlib.baselines.jpeg", "ProgressiveJPEG"): "peer_html",
    ("hierlib.baselines.fresh", "FreshFile"): "peer_html",
    ("hierlib.classifiers", "Named"): "classifier_html",
    ("hierlib.evaluation.results", "Results"): "results_html",
    ("hierlib.training.recipe", "Recipe"): "recipe_html",
    ("hierlib.images.packs", "PictureSet"): "pictures_html",
    ("hierlib.views.ladder", "Rung"): "rung_html",
    ("hierlib.views.ladder", "Ladder"): "ladder_html",
}


def register() -> bool:
    """Inside IPython, show our objects as pictures and tables; True if there is an IPython to tell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return False
    formatter = shell.display_formatter.formatters["text/html"]
    for (module, name), how in TYPES.items():
        formatter.for_type_by_name(module, name, _later(how))
    return True


def _later(how: str) -> Any:
    """A formatter that imports what it needs when it is first used."""
    return lambda shown: getattr(import_module("hierlib.views.rich"), how)(shown)
