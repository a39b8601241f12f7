"""Public ImageNet-1K classifiers by name, with their published weights: ``torchvision/NAME`` or ``timm/NAME``.

The paper's three are torchvision/resnet50, torchvision/convnext_tiny and torchvision/mobilenet_v3_large. What the
classifier says of itself (``about``: the weights' enum, the transform's numbers) goes into every file of results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from ..errors import DataError
from ..files import imagenet_wnids
from . import Named, graph

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Transform:
    """What weights expect of a picture: its short side resized, the middle cut out, colours normalised."""

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str  # bilinear or bicubic, with antialiasing

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, crop, crop), differentiable."""
        import torch.nn.functional as F

        height, width = images.shape[-2:]
        size = [max(self.resize, int(self.resize * side / min(height, width))) for side in (height, width)]
        if [height, width] != size:
            images = F.interpolate(images, size=size, mode=self.interpolation, antialias=True, align_corners=False)
        top, left = (round((side - self.crop) / 2) for side in size)
        images = images[..., top : top + self.crop, left : left + self.crop]
        mean, std = (_colours(v, images.device) for v in (self.mean, self.std))
        return (images - mean) / std


@cache
def _colours(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(1, 3, 1, 1), copied to ``device`` once."""
    import torch

    with torch.inference_mode(False):
        return torch.tensor(values, device=device).view(1, 3, 1, 1)


def load(name: str, device: torch.device | str = "cpu") -> Named:
    """A frozen classifier with its default published weights; the weights' name becomes part of its own.

    Raises DataError if the name is unknown or the weights can be neither found in the cache nor downloaded.
    """
    from .small import freeze

    library, _, model = name.partition("/")
    try:
        network, label, transform = (_torchvision if library == "torchvision" else _timm)(model)
    except (URLError, OSError, ConnectionError) as error:
        first = str(error).strip().partition("\n")[0]
        raise DataError(
            f"The weights of {name} cannot be had ({type(error).__name__}: {first}): fetch them on a machine with "
            f"internet and copy its cache, or use {next_best()}."
        ) from None
    except (ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise DataError(f"{library} knows no classifier {model} ({error}): look up its list of models.") from None
    frozen = freeze(network.to(device))
    about = {"weights": label, "transform": asdict(transform)}
    return Named(f"{library}/{label}", imagenet_wnids(), _composed(frozen, transform), about)


def next_best() -> str:
    """What to judge with where nothing can be downloaded: a graph at hand, else the small classifier that ships."""
    known = graph.known()
    return f"{known[0]}, which is at hand under HIERLIB_DATA/classifiers" if known else "the shipped one, tiny"


def _composed(network: Any, transform: Transform) -> Callable[[Tensor], Tensor]:
    def classify(images: Tensor) -> Tensor:
        return network(transform(images))

    return classify


def _torchvision(model: str) -> tuple[Any, str, Transform]:
    from torchvision import models

    weights = models.get_model_weights(model).DEFAULT
    t = weights.transforms()
    transform = Transform(t.resize_size[0], t.crop_size[0], tuple(t.mean), tuple(t.std), t.interpolation.value)
    return models.get_model(model, weights=weights), f"{model}.{weights.name}", transform


def _timm(model: str) -> tuple[Any, str, Transform]:
    import timm
    from timm.data.config import resolve_model_data_config

    if not timm.is_model(model.partition(".")[0]):
        raise ValueError("no such architecture")
    network = timm.create_model(model, pretrained=True)
    config = resolve_model_data_config(network)
    crop = config["input_size"][-1]
    described: Any = network.pretrained_cfg
    tag = described.get("tag") or "default"
    label = model if "." in model else f"{model}.{tag}"
    resize = int(crop / config["crop_pct"])
    return network, label, Transform(resize, crop, tuple(config["mean"]), tuple(config["std"]), config["interpolation"])
