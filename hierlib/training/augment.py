"""What is done to a batch before it is learned from. All draw from the generator they are given, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Augmentation = Callable[[Tensor, np.random.Generator], Tensor]


def flip(images: Tensor, random: np.random.Generator) -> Tensor:
    """Mirror each picture left to right with probability one half."""
    mirrored = torch.from_numpy(random.random(len(images)) < 0.5)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def flip_and_shift(images: Tensor, random: np.random.Generator) -> Tensor:
    """Mirror, then crop the same size from the picture padded by an eighth (reflected)."""
    images = flip(images, random)
    height, width = images.shape[-2:]
    pad = max(1, height // 8)
    padded = F.pad(images, (pad, pad, pad, pad), mode="reflect")
    tops, lefts = random.integers(0, 2 * pad + 1, (2, len(images)))
    crops = [p[:, t : t + height, left : left + width] for p, t, left in zip(padded, tops, lefts, strict=True)]
    return torch.stack(crops)


def crop_scaled(image: Tensor, size: int, random: np.random.Generator) -> Tensor:
    """(3, H, W) of any size -> (3, size, size): scaled so that the short side is anywhere from ``size`` to what it is,
    then cropped anywhere. A picture that is too small is enlarged.
    """
    smallest = size / min(image.shape[-2:])
    factor = random.uniform(min(1.0, smallest), 1.0) if smallest < 1 else smallest
    height, width = (max(size, round(side * factor)) for side in image.shape[1:])
    if (height, width) != image.shape[1:]:
        image = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0]
    top, left = random.integers(0, height - size + 1), random.integers(0, width - size + 1)
    return image[:, top : top + size, left : left + size]


def crop_and_resize(images: Tensor, random: np.random.Generator, size: int, smallest: float = 0.4) -> Tensor:
    """Of each picture a rectangle of ``smallest`` .. 1 of its area, sides 3:4 to 4:3, resized to (size, size)."""
    crops = []
    height, width = images.shape[-2:]
    for image in images:
        area, ratio = random.uniform(smallest, 1.0), np.exp(random.uniform(-1, 1) * np.log(4 / 3))
        tall, wide = (
            min(height, round(height * (area * ratio) ** 0.5)),
            min(width, round(width * (area / ratio) ** 0.5)),
        )
        top, left = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
        crop = image[None, :, top : top + tall, left : left + wide]
        crops.append(F.interpolate(crop, (size, size), mode="bilinear", antialias=True))
    return torch.cat(crops)


def blur_some(images: Tensor, random: np.random.Generator, share: float) -> Tensor:
    """The first ``share`` of the batch loses detail: shrunk to a fifth .. three quarters and back.

    A classifier that has only seen sharp pictures says little about early prefixes, and its gradients mislead a codec.
    """
    count, size = round(share * len(images)), images.shape[-1]
    if count == 0:
        return images
    groups = []
    for part in images[:count].chunk(4):
        small = int(size * random.uniform(0.2, 0.75))
        shrunk = F.interpolate(part, size=(small, small), mode="area")
        groups.append(F.interpolate(shrunk, size=(size, size), mode="bicubic").clamp(0, 1))
    return torch.cat([*groups, images[count:]])
