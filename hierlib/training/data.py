"""Batches as a pure function of (seed, step): resuming needs no state, and every machine sees the same order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.packs import PictureSet, open_pack

Augmentation = Callable[[Tensor, np.random.Generator], Tensor]


@dataclass
class Batches:
    """Shuffled, augmented batches over pictures held in memory as uint8.

    pixels: (n, H, W, 3) uint8; labels: (n,) int64. ``batch(step)`` -> (B, 3, H, W) float32 in [0, 1], (B,) int64.
    Each epoch is one permutation of the set, drawn from (seed, epoch); augmentation is drawn from (seed, step).
    """

    pixels: np.ndarray
    labels: np.ndarray
    batch_size: int
    seed: int = 0
    augment: Augmentation | None = None

    def __post_init__(self) -> None:
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.labels) // self.batch_size)

    def indices(self, step: int) -> np.ndarray:
        """Which pictures batch ``step`` holds."""
        epoch, within = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))
        return self._order[within * self.batch_size : (within + 1) * self.batch_size]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        chosen = self.indices(step)
        images = torch.from_numpy(self.pixels[chosen]).permute(0, 3, 1, 2).float() / 255
        if self.augment is not None:
            images = self.augment(images, np.random.default_rng((self.seed, step, 1)))
        return images, torch.from_numpy(self.labels[chosen])


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


def cropped(size: int) -> Augmentation:
    """Mirror, shrink by a random factor down to ``size`` for the short side, and crop (size, size) anywhere."""

    def augment(images: Tensor, random: np.random.Generator) -> Tensor:
        images = flip(images, random)
        smallest = size / min(images.shape[-2:])
        crops = []
        for image in images:
            factor = random.uniform(min(1.0, smallest), 1.0)
            height, width = (max(size, round(side * factor)) for side in image.shape[1:])
            scaled = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0]
            top, left = random.integers(0, height - size + 1), random.integers(0, width - size + 1)
            crops.append(scaled[:, top : top + size, left : left + size])
        return torch.stack(crops)

    return augment


def crop_and_resize(images: Tensor, random: np.random.Generator, size: int, smallest: float = 0.4) -> Tensor:
    """Of each picture a rectangle of ``smallest`` .. 1 of its area, sides 3:4 to 4:3, resized to (size, size)."""
    crops = []
    height, width = images.shape[-2:]
    for image in images:
        area, ratio = random.uniform(smallest, 1.0), np.exp(random.uniform(-1, 1) * np.log(4 / 3))
        tall, wide = min(height, round(height * (area * ratio) ** 0.5)), min(width, round(width * (area / ratio) ** 0.5))
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


def training_set(name: str, seed: int = 0) -> PictureSet:
    """``shapes:N`` is N procedural pictures made from ``seed``; anything else a pack under HIERLIB_DATA."""
    if name.startswith("shapes:"):
        from ..images.shapes import shapes

        return shapes(int(name.removeprefix("shapes:")), seed=seed)
    return open_pack(name)
