"""Batches as a pure function of (seed, step, part): resuming needs no state, and every machine sees the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..files import data_root
from ..images.packs import PictureSet, open_pack
from .augment import Augmentation, crop_scaled

IN_MEMORY_BYTES = 2e9  # a larger set is read from the disk as it is needed


@dataclass
class Batches:
    """Shuffled, augmented batches.

    read: picture numbers (B,), a random generator -> (B, 3, H, W) float32 in [0, 1]; labels: (n,) int64.
    A step's batch has ``batch_size`` pictures, in ``parts`` equal parts: each draws from (seed, step, part), so that
    it is the same whichever process computes it. Each epoch is one permutation of the set, drawn from (seed, epoch).
    """

    read: Callable[[np.ndarray, np.random.Generator], Tensor]
    labels: np.ndarray
    batch_size: int
    seed: int = 0
    augment: Augmentation | None = None
    parts: int = 1

    def __post_init__(self) -> None:
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)
        if self.batch_size > len(self.labels):
            raise DataError(f"The set has {len(self.labels)} pictures, a batch {self.batch_size}: make it smaller.")

    @property
    def steps_per_epoch(self) -> int:
        return len(self.labels) // self.batch_size

    def indices(self, step: int, part: int = 0) -> np.ndarray:
        """Which pictures that part of batch ``step`` holds."""
        epoch, within = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))
        size = self.batch_size // self.parts
        first = within * self.batch_size + part * size
        return self._order[first : first + size]

    def batch(self, step: int, part: int = 0) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) float32 in [0, 1], (B,) int64."""
        chosen = self.indices(step, part)
        random = np.random.default_rng((self.seed, step, part, 1))
        images = self.read(chosen, random)
        if self.augment is not None:
            images = self.augment(images, random)
        return images, torch.from_numpy(self.labels[chosen])


def in_memory(pixels: np.ndarray) -> Callable[[np.ndarray, np.random.Generator], Tensor]:
    """A reader of pictures that are held as (n, H, W, 3) uint8."""
    return lambda chosen, _: torch.from_numpy(pixels[chosen]).permute(0, 3, 1, 2).float() / 255


def from_disk(pictures: PictureSet, size: int) -> Callable[[np.ndarray, np.random.Generator], Tensor]:
    """A reader that decodes when asked, of pictures of any size: each is cut to (size, size) at a random scale."""
    return lambda chosen, random: torch.stack([crop_scaled(pictures[int(i)], size, random) for i in chosen])


def reader(pictures: PictureSet, size: int) -> Callable[[np.ndarray, np.random.Generator], Tensor]:
    """``in_memory`` for a small set whose pictures all are (size, size), else ``from_disk``."""
    small = len(pictures) * 3 * size**2 <= IN_MEMORY_BYTES
    if small and all(
        pictures[i].shape == (3, size, size) for i in range(0, len(pictures), max(1, len(pictures) // 64))
    ):
        return in_memory(pictures.pixels())
    return from_disk(pictures, size)


def training_set(name: str, seed: int = 0, listing: str = "") -> PictureSet:
    """The pictures a recipe names.

    name: ``shapes:N`` is N procedural pictures made from ``seed``; anything else a pack, an ImageFolder or webdataset
    shards under HIERLIB_DATA; ``NAME:K`` is K pictures of each of its classes, the same ones every time.
    listing: a text file, here or under HIERLIB_DATA, with the key of one picture a line: only those, in that order.
    Raises DataError for a missing set or listing, and for keys that the set does not have.
    """
    if name.startswith("shapes:"):
        from ..images.shapes import shapes

        return shapes(int(name.removeprefix("shapes:")), seed=seed)
    plain, _, count = name.partition(":")
    pictures = open_pack(plain)
    if count:
        pictures = pictures.subset(even_subset(pictures, int(count)))
    return pictures.subset(listed(pictures, _find(listing))) if listing else pictures


def identity(pictures: PictureSet) -> str:
    """How many pictures a run learns from, and a digest of which: what goes on from it must have the same."""
    hashed = hashlib.sha256("\n".join(pictures.keys).encode() + pictures.labels.tobytes())
    return f"{len(pictures)} of {pictures.name} {hashed.hexdigest()[:8]}"


def even_subset(pictures: PictureSet, per_class: int) -> np.ndarray:
    """``per_class`` pictures of each class, drawn with a fixed seed from the sorted keys. DataError if too few."""
    order = np.array(sorted(range(len(pictures)), key=lambda i: pictures.keys[i]), dtype=np.int64)
    shuffled = np.random.default_rng(0).permutation(order)
    chosen = []
    for row, wnid in enumerate(pictures.wnids):
        of_class = shuffled[pictures.labels[shuffled] == row]
        if len(of_class) < per_class:
            raise DataError(f"{pictures.name} has {len(of_class)} pictures of {wnid}, {per_class} are asked for.")
        chosen.append(of_class[:per_class])
    return np.sort(np.concatenate(chosen))


def listed(pictures: PictureSet, path: Path) -> np.ndarray:
    """The numbers of the pictures whose keys ``path`` lists."""
    wanted = [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    row = {key: i for i, key in enumerate(pictures.keys)}
    missing = [key for key in wanted if key not in row]
    if missing or not wanted:
        found = f"{len(missing)} of {len(wanted)} keys, {missing[0]} for one, are not in" if missing else "no key of"
        raise DataError(
            f"{path}: {found} {pictures.name}, whose keys look like {pictures.keys[0]}: name the set it was made for."
        )
    return np.array([row[key] for key in wanted], dtype=np.int64)


def _find(listing: str) -> Path:
    root = data_root()
    for path in (Path(listing), *([root / listing] if root else [])):
        if path.is_file():
            return path
    raise DataError(f"There is no listing {listing}, neither here nor under HIERLIB_DATA ({root}): one key a line.")
