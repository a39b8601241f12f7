"""WebDataset shards: tar files of ``key.jpg`` beside ``key.cls``, how sets of millions of pictures are stored.

The library of that name streams them in order; here the place of every member is noted once (headers only, no picture
is read), and then any picture can be read by its number. That keeps a batch a pure function of seed and step, so that
a run can be resumed anywhere.
"""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import DataError
from ..files import imagenet_wnids
from .packs import SUFFIXES, PictureSet
from .pictures import from_pil

if TYPE_CHECKING:
    from torch import Tensor

WNID = re.compile(r"n\d{8}")


def open_shards(name: str, shards: list[Path]) -> PictureSet:
    """The pictures of ``shards``, in their order.

    A picture's class is its ``.cls`` (a WordNet id, or a number: the ImageNet-1K index), or else the WordNet id with
    which its key begins (``n01440764_10026.jpg``). Raises DataError for a damaged shard or a picture without class.
    """
    keys: list[str] = []
    wnid_of: list[str] = []
    places: list[tuple[int, int, int]] = []  # shard, offset, length in bytes
    for number, shard in enumerate(shards):
        pictures, classes = _members(shard)
        for key, (offset, length) in pictures.items():
            keys.append(key)
            wnid_of.append(_wnid(key, classes.get(key), shard))
            places.append((number, offset, length))
    if not keys:
        raise DataError(f"{shards[0].parent / name}: the {len(shards)} shards hold no picture ({', '.join(SUFFIXES)}).")
    where = np.array(places, dtype=np.int64)
    wnids = tuple(sorted(set(wnid_of)))
    row = {wnid: i for i, wnid in enumerate(wnids)}

    def read(index: int) -> Tensor:
        number, offset, length = (int(v) for v in where[index])
        with shards[number].open("rb") as file:
            file.seek(offset)
            return from_pil(Image.open(io.BytesIO(file.read(length))))

    labels = np.array([row[wnid] for wnid in wnid_of], dtype=np.int64)
    return PictureSet(name, wnids, wnids, labels, read, tuple(keys))


def _members(shard: Path) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Where each picture of a shard lies, and what its ``.cls`` says, by key."""
    pictures, classes = {}, {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                key, _, suffix = member.name.rpartition(".")
                if f".{suffix.lower()}" in SUFFIXES:
                    pictures[key] = (member.offset_data, member.size)
                elif suffix == "cls" and (content := tar.extractfile(member)) is not None:
                    classes[key] = content.read().decode(errors="replace").strip()
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard} cannot be read as a shard ({error}): copy it again.") from None
    return pictures, classes


def _wnid(key: str, said: str | None, shard: Path) -> str:
    if said is not None and said.isdecimal():
        known = imagenet_wnids()
        if int(said) < len(known):
            return known[int(said)]
    found = WNID.match(said if said is not None else key.rpartition("/")[2])
    if found is None:
        raise DataError(
            f"{shard}: picture {key} has the class {said!r}: a WordNet id or an ImageNet-1K index is expected in "
            f"{key}.cls, or a key that begins with the id."
        )
    return found.group()
