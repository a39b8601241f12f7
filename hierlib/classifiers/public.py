"""Public ImageNet-1K classifiers by name, with their published weights: ``torchvision/NAME`` or ``timm/NAME``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from ..errors import DataError
from . import Named, imagenet_wnids

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def load(name: str, device: torch.device | str = "cpu") -> Named:
    """A frozen classifier with its default published weights; the weights' name becomes part of its own.

    Raises DataError if the name is unknown or the weights can be neither found in the cache nor downloaded.
    """
    library, _, model = name.partition("/")
    try:
        network, label, size, mean, std = (_torchvision if library == "torchvision" else _timm)(model)
    except (ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{library} knows no classifier {model} ({error}): look up its list of models.") from None
    except (URLError, OSError, RuntimeError, ConnectionError) as error:
        raise DataError(
            f"The weights of {name} cannot be had ({type(error).__name__}: {error}): fetch them on a machine with "
            "internet and copy the cache, or use a graph under HIERLIB_DATA/classifiers, or the shipped one, tiny."
        ) from None
    return Named(f"{library}/{label}", imagenet_wnids(), _prepared(network, size, mean, std, device))


def _torchvision(model: str) -> tuple[Any, str, int, list[float], list[float]]:
    from torchvision import models

    weights = models.get_model_weights(model).DEFAULT
    transform = weights.transforms()
    return (
        models.get_model(model, weights=weights),
        f"{model}.{weights.name}",
        transform.crop_size[0],
        transform.mean,
        transform.std,
    )


def _timm(model: str) -> tuple[Any, str, int, list[float], list[float]]:
    import timm
    from timm.data.config import resolve_model_data_config

    network = timm.create_model(model, pretrained=True)
    config = resolve_model_data_config(network)
    return network, model, config["input_size"][-1], list(config["mean"]), list(config["std"])


def _prepared(
    network: Any, size: int, mean: list[float], std: list[float], device: torch.device | str
) -> Callable[[Tensor], Tensor]:
    """Resize, normalise, classify: what the weights' own transform does to a picture that is a square already."""
    import torch
    import torch.nn.functional as F

    from .small import freeze

    frozen = freeze(network.to(device))
    shift, scale = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (mean, std))

    def classify(images: Tensor) -> Tensor:
        if images.shape[-2:] != (size, size):
            images = F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
        return frozen((images - shift) / scale)

    return classify
