"""Let the published torchvision import beside a CPU-only torch. Removable: nothing else in the package knows of it.

torchvision's wheel on PyPI links the CUDA libraries. Where torch has no CUDA its compiled part fails to load silently,
and ``import torchvision`` then dies on ``operator torchvision::nms does not exist`` while it registers shape functions
for two operators (pytorch/vision issue 9085). compressai, open_clip and timm all import torchvision, so none of them
imports either.

Declaring the schemas of those two operators is enough for models, transforms and datasets; the operators themselves
stay without a kernel, and calling one (detection models do) still says so. ``install`` costs nothing: it only waits for
the first ``import torchvision``, and then does nothing where torch has CUDA or torchvision's own library loads.

Delete this module and its one call in ``__init__`` once PyPI's torchvision imports on a CPU.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

SCHEMAS = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))

_kept: list[Any] = []  # a torch Library withdraws its schemas when it is garbage-collected


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing; is asked first, so that it can prepare torch once before torchvision is really found."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == "torchvision":
            remove()
            declare_missing_operators()
        return None


def install() -> None:
    """Wait for the first ``import torchvision``. Called by ``import hierlib``; imports nothing, may be called again."""
    if "torchvision" not in sys.modules and not any(isinstance(finder, _BeforeTorchvision) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BeforeTorchvision())


def remove() -> None:
    """Stop waiting."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _BeforeTorchvision)]


def declare_missing_operators() -> bool:
    """Declare the two schemas if torchvision needs them; True if it did.

    False, with nothing changed, where torchvision or torch is absent, torch has CUDA, or torchvision's library loads.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or importlib.util.find_spec("torch") is None:
        return False
    import torch

    if torch.version.cuda is not None:
        return False
    for library in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(library)
        except OSError:  # links libraries that are not there
            continue
        return False
    fragment = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        fragment.define(schema)
    _kept.append(fragment)
    return True
