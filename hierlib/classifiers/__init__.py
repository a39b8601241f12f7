"""Who names a picture: the small network that travels with the project, ImageNet graphs, torchvision and timm by name.

A classifier resizes and normalises inside: it takes (B, 3, H, W) in [0, 1] of any size and gives (B, N) logits in the
order of its ``wnids``. ``load`` finds one by name; ``restrict`` leaves only the classes of a task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..errors import DataError, HierarchyError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SHIPPED = ("tiny", "tiny-taught", "tiny-deep", "shapes")
HANDMADE = "shapes-hog"  # fitted on the spot to drawn shapes, by no training of ours


@runtime_checkable
class Classifier(Protocol):
    """``name``, ``wnids`` (one per logit), and a call."""

    @property
    def name(self) -> str: ...

    @property
    def wnids(self) -> tuple[str, ...]: ...

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, N) logits, differentiable in the pictures."""
        ...


@dataclass(frozen=True)
class Named:
    """A network with its name and its classes. about: what results should say of it, as plain values."""

    name: str
    wnids: tuple[str, ...]
    network: Callable[[Tensor], Tensor]
    about: dict[str, Any] = field(default_factory=dict)

    def __call__(self, images: Tensor) -> Tensor:
        return self.network(images)


def load(name: str, device: torch.device | str = "cpu") -> Classifier:
    """A frozen classifier by name.

    ``tiny`` (200 classes, 64x64), ``tiny-taught`` (the same, more often right), ``tiny-deep`` (twice the blocks, right
    most often) and ``shapes`` travel with the project;
    ``folder/of/weights.safetensors`` is a small classifier trained here; ``mobilenet_v2_1.0`` is a graph under
    HIERLIB_DATA/classifiers, ``mobilenet_v2_1.0@160`` the same at a side of 160; ``torchvision/resnet50`` and
    ``timm/resnet50.a1_in1k`` are downloaded. Raises DataError if it cannot be had, naming the next best choice.
    """
    from . import graph, handmade, public, small

    if name == HANDMADE:
        return handmade.load()
    if name in SHIPPED or name.endswith(".safetensors"):
        return small.load(name, device)
    if name.startswith(("torchvision/", "timm/")):
        return public.load(name, device)
    plain, _, side = name.partition("@")
    found = graph.find(plain)
    if found is not None and (not side or side.isdecimal()):
        return graph.load(found, device, int(side) if side else None)
    raise DataError(
        f"There is no classifier {name}: {', '.join(SHIPPED)} travel with the project, {HANDMADE} is made on the spot, "
        f"graphs under HIERLIB_DATA/classifiers are {', '.join(graph.known()) or 'none'}, and torchvision/NAME or "
        "timm/NAME are downloaded."
    )


def restrict(classifier: Classifier, wnids: Sequence[str]) -> Classifier:
    """The same network, asked about ``wnids`` only, in that order. HierarchyError if it does not know one of them."""
    if tuple(wnids) == tuple(classifier.wnids):
        return classifier
    row = {wnid: i for i, wnid in enumerate(classifier.wnids)}
    unknown = [wnid for wnid in wnids if wnid not in row]
    if unknown:
        raise HierarchyError(
            f"Classifier {classifier.name} does not know {len(unknown)} of the {len(wnids)} classes, {unknown[0]} "
            "for one: use a classifier trained on these classes, or a hierarchy over its own."
        )
    chosen = tuple(row[wnid] for wnid in wnids)
    about = getattr(classifier, "about", {})

    def restricted(images: Tensor) -> Tensor:
        logits = classifier(images)
        return logits[:, _on(chosen, logits.device)]

    return Named(classifier.name, tuple(wnids), restricted, about)


@cache
def _on(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """An index, copied to ``device`` once: at each call it would hold a GPU up."""
    import torch

    with torch.inference_mode(False):
        return torch.tensor(numbers, device=device)


def knows(classifier: Classifier, wnids: Sequence[str]) -> bool:
    """Whether ``restrict`` would succeed."""
    return set(wnids) <= set(classifier.wnids)
