"""The small classifier that travels with the project: a ResNet for 64x64 pictures.

It is what training asks "which group is this?" (the paper asks ResNet-50 at 224x224) and what the notebooks show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..files import read_weights, replacing, shipped
from . import Named

KIND = "hierlib-classifier"


class Residual(nn.Module):
    """Pre-activation residual block (He et al. 2016), halving the picture where stride is 2."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        plain = stride == 1 and channels_in == channels_out
        self.skip = None if plain else nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.norm1(x))
        b = self.conv2(F.relu(self.norm2(self.conv1(a))))
        return b + (x if self.skip is None else self.skip(a))


class SmallResNet(nn.Module):
    """(B, 3, H, W) in [0, 1] -> (B, classes) logits. Pictures of another size are resized to ``size`` first.

    widths: channels of the four stages at 1/2, 1/4, 1/8, 1/16 of the picture; depth: blocks per stage.
    """

    def __init__(self, classes: int, widths: tuple[int, ...] = (32, 64, 128, 256), depth: int = 1, size: int = 64):
        super().__init__()
        self.size = size
        self.config: dict[str, Any] = {"classes": classes, "widths": list(widths), "depth": depth, "size": size}
        self.stem = nn.Conv2d(3, widths[0], 3, 2, 1, bias=False)
        blocks: list[nn.Module] = []
        before = widths[0]
        for i, width in enumerate(widths):
            for d in range(depth):
                blocks.append(Residual(before, width, 2 if d == 0 and i > 0 else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(before)
        self.head = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        for x in self.maps(images):  # noqa: B007 - the last one is wanted, and no other kept
            pass
        return self.head(F.relu(self.norm(x)).mean((2, 3)))

    def maps(self, images: Tensor) -> Iterator[Tensor]:
        """Feature maps (B, C, h, w), one after the other: of the stem, then of every block."""
        if images.shape[-2:] != (self.size, self.size):
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=True)
        x = self.stem((images - 0.45) / 0.25)
        yield x
        for block in self.blocks:
            x = block(x)
            yield x


def parameters_of(module: nn.Module) -> int:
    """How many trainable numbers a module holds."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def channels_last(module: nn.Module) -> nn.Module:
    """Turn the weights, in place, to the layout in which convolutions run fastest on CPUs and GPUs alike."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def freeze(module: nn.Module) -> nn.Module:
    """Evaluation mode, no gradients to the weights (they still flow through to the picture)."""
    return channels_last(module.eval().requires_grad_(False))


def save(path: Path, network: SmallResNet, wnids: tuple[str, ...], about: dict[str, Any]) -> None:
    """Write the classifier as float16 safetensors with its classes, whole or not at all."""
    from safetensors.torch import save_file

    tensors = {
        k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in network.state_dict().items()
    }
    description = {**about, "config": network.config, "wnids": list(wnids)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"kind": KIND, "about": json.dumps(description)})


def load(name: str, device: torch.device | str = "cpu") -> Named:
    """``tiny``, ``shapes`` or a .safetensors file that ``save`` wrote. CheckpointError if it cannot be read."""
    path = Path(name) if name.endswith(".safetensors") else shipped("checkpoints", f"{name}-classifier.safetensors")
    tensors, about = read_weights(path, KIND)
    network = SmallResNet(**about["config"])
    network.load_state_dict({k: v.float() for k, v in tensors.items()})
    return Named(about.get("name", path.stem), tuple(about["wnids"]), freeze(network.to(device)))
