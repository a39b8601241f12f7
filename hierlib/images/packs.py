"""Labelled sets of pictures: parquet packs and ImageFolders under ``HIERLIB_DATA``.

A parquet pack has the columns ``image`` (encoded bytes), ``wnid`` and, optionally, ``name``. Packs whose names differ
only in a trailing number (``train-0``, ``train-1``) are one set. An ImageFolder has one folder a class, named by wnid.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import DataError
from ..files import data_root
from .pictures import from_array, from_pil

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


@dataclass(frozen=True)
class PictureSet:
    """Pictures with class labels, decoded when asked for.

    wnids, names: one per class; labels: (n,) int64, the row in ``wnids`` of each picture.
    read: index of a picture -> (3, H, W) float32 in [0, 1]. keys: what each picture is called where it is stored
    (the path in an ImageFolder, the key in a shard), its number if that has no names.
    """

    name: str
    wnids: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    read: Callable[[int], Tensor]
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.keys:
            object.__setattr__(self, "keys", tuple(map(str, range(len(self.labels)))))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Tensor:
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        try:
            return self.read(index % len(self))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"Picture {self.keys[index]} of {self.name} cannot be read ({error}): copy it again or leave it out."
            ) from None

    def subset(self, indices: Sequence[int] | np.ndarray) -> PictureSet:
        """The pictures at ``indices``, in that order, under the same classes."""
        chosen = np.asarray(indices, dtype=np.int64)
        keys = tuple(self.keys[i] for i in chosen)
        return replace(self, labels=self.labels[chosen], read=lambda i: self.read(int(chosen[i])), keys=keys)

    def batch(self, indices: Sequence[int] | np.ndarray) -> Tensor:
        """(B, 3, H, W); the pictures must be of one size."""
        import torch

        return torch.stack([self[int(i)] for i in indices])

    def pixels(self) -> np.ndarray:
        """(n, H, W, 3) uint8: all pictures decoded, for training on sets that fit in memory. Pictures of one size."""
        from .pictures import to_uint8

        return np.stack([to_uint8(self[i]) for i in range(len(self))])


def open_pack(name: str, root: Path | None = None) -> PictureSet:
    """Open a parquet pack (``tiny-imagenet-val``), a series of packs or webdataset shards, or an ImageFolder, by name.

    root: where to look; the folder named by HIERLIB_DATA if None. A name may hold folders: ``imagenet/train``.
    Raises DataError if there is no data folder or no such pack in it.
    """
    root = root or data_root()
    if root is None:
        raise DataError(f"No data folder is known: set HIERLIB_DATA to the folder that holds {name}.parquet.")
    if (root / name).is_dir():
        return _image_folder(root / name)
    packs = sorted(
        p for p in root.glob(f"{name}*.parquet") if p.stem.removeprefix(name).lstrip("-").isdigit() or p.stem == name
    )
    shards = sorted(root.glob(f"{name}*.tar"))
    if shards and not packs:
        from .shards import open_shards

        return open_shards(name, shards)
    if not packs:
        known = ", ".join(sorted({p.stem for p in root.glob("*.parquet")})) or "no parquet pack at all"
        raise DataError(f"There is no pack or folder {name} in {root}; it holds {known}.")
    return _parquet(name, packs)


def _parquet(name: str, packs: list[Path]) -> PictureSet:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        table = pyarrow.concat_tables([parquet.read_table(pack) for pack in packs], promote_options="default")
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{packs[0].parent / name} cannot be read as parquet ({error}): copy it again.") from None
    missing = {"image", "wnid"} - set(table.column_names)
    if missing:
        raise DataError(
            f"{packs[0]} lacks the column {', '.join(sorted(missing))}; it has {', '.join(table.column_names)}."
        )
    encoded, of_picture = table.column("image"), table.column("wnid").to_pylist()
    wnids = tuple(sorted(set(of_picture)))
    named = dict(zip(of_picture, table.column("name").to_pylist(), strict=True)) if "name" in table.column_names else {}
    row = {wnid: i for i, wnid in enumerate(wnids)}

    def read(index: int) -> Tensor:
        return from_pil(Image.open(io.BytesIO(encoded[index].as_py())))

    labels = np.array([row[wnid] for wnid in of_picture], dtype=np.int64)
    return PictureSet(name, wnids, tuple(named.get(w, w) for w in wnids), labels, read)


def _image_folder(folder: Path) -> PictureSet:
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir())
    files = [
        (f, row)
        for row, c in enumerate(classes)
        for f in sorted((folder / c).rglob("*"))
        if f.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise DataError(f"{folder} holds no pictures: an ImageFolder has one folder a class with picture files inside.")

    def read(index: int) -> Tensor:
        with Image.open(files[index][0]) as opened:
            return from_pil(opened)

    labels = np.array([row for _, row in files], dtype=np.int64)
    keys = tuple(f.relative_to(folder).as_posix() for f, _ in files)
    return PictureSet(folder.name, tuple(classes), tuple(classes), labels, read, keys)


def from_arrays(
    name: str, wnids: Sequence[str], names: Sequence[str], pixels: np.ndarray, labels: np.ndarray
) -> PictureSet:
    """A set over an (n, H, W, 3) uint8 array that is in memory already."""
    return PictureSet(
        name, tuple(wnids), tuple(names), np.asarray(labels, dtype=np.int64), lambda i: from_array(pixels[i])
    )
