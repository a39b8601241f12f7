"""ImageNet classifiers stored as a graph: a JSON list of operations and an npz of weights, run in PyTorch.

Such pairs lie under HIERLIB_DATA/classifiers (``mobilenet_v2_1.0.json`` and ``.npz``). They are how a machine without
torchvision's downloads gets an ImageNet-1K classifier that training has never seen, differentiable in its picture.

The JSON has ``size`` (the side the network was trained at), ``in_zero`` and ``in_scale`` (pixel 0..255 to input),
``input``, and ``ops`` in order: each with ``op``, ``in``, ``out``, and what that operation needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import DataError
from ..files import data_root, imagenet_wnids
from . import Named
from .small import freeze

CLASSES = 1000
AT_ONCE = 4  # pictures, on a CPU: maps of more than 32 MB are fresh memory each time, and cost twice as much
ACTIVATIONS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


def find(name: str) -> Path | None:
    """The JSON of a graph by name, or None."""
    root = data_root()
    path = root / "classifiers" / f"{name}.json" if root else None
    return path if path is not None and path.is_file() and path.with_suffix(".npz").is_file() else None


def known() -> list[str]:
    """Names of the graphs under HIERLIB_DATA."""
    root = data_root()
    return sorted(p.name.removesuffix(".json") for p in (root / "classifiers").glob("*.json")) if root else []


def load(path: Path, device: torch.device | str = "cpu", size: int | None = None) -> Named:
    """A frozen ImageNet-1K classifier from its JSON, weights beside it. DataError if they cannot be read.

    size: the side that pictures are resized to, its own if None. On 64x64 pictures 160 is as good as 224.
    """
    name = path.name.removesuffix(".json")
    try:
        spec = json.loads(path.read_text())
        with np.load(path.with_name(f"{name}.npz"), allow_pickle=False) as stored:
            weights = {key: stored[key].astype(np.float32) for key in stored.files}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"Classifier {path} cannot be read ({error}): copy its .json and .npz again.") from None
    graph = Graph(spec if size is None else {**spec, "size": size}, weights)
    return Named(name if size is None else f"{name}@{size}", imagenet_wnids(), freeze(graph.to(device)))


class Graph(nn.Module):
    """(B, 3, H, W) in [0, 1] -> (B, 1000) logits; pictures are resized to the graph's own size first."""

    def __init__(self, spec: dict[str, Any], weights: dict[str, np.ndarray]):
        super().__init__()
        self.spec, self.size = spec, int(spec["size"])
        self.kernels = nn.ParameterDict({k: nn.Parameter(torch.from_numpy(v)) for k, v in weights.items()})

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > AT_ONCE and not images.is_cuda and not torch.is_grad_enabled():
            return torch.cat([self._logits(part) for part in images.split(AT_ONCE)])
        return self._logits(images)

    def _logits(self, images: Tensor) -> Tensor:
        *_, logits = self._results(images)
        return logits.flatten(1)[:, -CLASSES:]  # some graphs have a background class first

    def maps(self, images: Tensor) -> Iterator[Tensor]:
        """Feature maps (B, C, h, w) of more than one place, one after the other, of every operation."""
        for result in self._results(images):
            if result.dim() < 4 or result.shape[-1] == 1:
                break  # pooled: what follows are no maps
            yield result

    def _results(self, images: Tensor) -> Iterator[Tensor]:
        """What each operation gives, down to the logits."""
        if images.shape[-2:] != (self.size, self.size):
            images = F.interpolate(images, size=(self.size, self.size), mode="bicubic", antialias=True).clamp(0, 1)
        values = {self.spec["input"]: (images * 255 - self.spec["in_zero"]) * self.spec["in_scale"]}
        for op in self.spec["ops"]:
            if op["op"] == "SOFTMAX":
                break
            values[op["out"]] = self._run(op, values)
            yield values[op["out"]]

    def _run(self, op: dict[str, Any], values: dict[Any, Tensor]) -> Tensor:
        kind, x = op["op"], values[op["in"][0]]
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weight, bias = self.kernels[f"w{op['k']}"], self.kernels[f"b{op['k']}"]
            left, right, above, below = _same_padding(x, weight.shape[2:], op["stride"]) if op["same"] else (0, 0, 0, 0)
            even = left == right and above == below  # then the convolution pads by itself: a copy of x less
            if not even:
                x = F.pad(x, (left, right, above, below))
            x = F.conv2d(x, weight, bias, op["stride"], (above, left) if even else 0, 1, op["groups"])
        elif kind == "FULLY_CONNECTED":
            x = F.linear(x.flatten(1), self.kernels[f"w{op['k']}"], self.kernels[f"b{op['k']}"])
        elif kind == "ADD":
            x = x + values[op["in"][1]]
        elif kind in ("AVERAGE_POOL_2D", "MEAN"):
            x = x.mean((2, 3), keepdim=True)
        elif kind == "PAD":
            above_below, left_right = op["pads"][1], op["pads"][2]
            x = F.pad(x, [*left_right, *above_below])
        elif kind not in ("RESHAPE", "SQUEEZE"):
            raise DataError(f"The graph uses {kind}, which this version cannot run: use another classifier.")
        low, high = ACTIVATIONS.get(op.get("act", ""), (-math.inf, math.inf))
        if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD"):
            return x if low == -math.inf else x.clamp(low, high)
        if "range" in op:  # the graph was quantised: beyond this range it never answers
            low, high = max(low, op["range"][0]), min(high, op["range"][1])
        if low == -math.inf and high == math.inf:
            return x
        # in place: with the copies of two clamps a MobileNetV2 spends most of its time on memory
        return F.hardtanh_(x, low, high)


def _same_padding(x: Tensor, kernel: torch.Size, stride: list[int] | tuple[int, int] | int) -> list[int]:
    """TensorFlow's SAME: pad so that the output is ceil(size / stride), the odd pixel after."""
    strides = (stride, stride) if isinstance(stride, int) else stride
    padding: list[int] = []
    for axis in (1, 0):
        size = x.shape[2 + axis]
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + kernel[axis] - size, 0)
        padding += [total // 2, total - total // 2]
    return padding
