"""What notebooks are about, by name: pictures, labelled sets, codecs. So that a parameter is enough to change it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..codec.protocol import ProgressiveCodec
from ..errors import DataError
from ..images.pictures import DEMONSTRATION, centre_square, demonstration, load_picture

if TYPE_CHECKING:
    from torch import Tensor

    from ..images.packs import PictureSet

# What two of the photographs in scikit-image's wheel show, as WordNet ids: a tabby cat and a cup of espresso.
DEMONSTRATION_WNIDS = {"chelsea": "n02123045", "coffee": "n07920052"}

HELD_OUT = 1_000_000  # added to the seed of drawn sets: no training run uses seeds from here on


@dataclass(frozen=True)
class Subject:
    """A picture, (3, H, W) float32 in [0, 1], with its name and, where it is known, the WordNet id of what it shows."""

    name: str
    image: Tensor
    wnid: str | None = None


def subject(name: str, size: int = 256, seed: int = 0) -> Subject:
    """A picture by name: a demonstration photograph ("chelsea"), "set:number" ("shapes:3"), or a file.

    Photographs and files are cut to their centre square and resized to ``size``; pictures of a set stay as they are.
    Raises DataError for a name that is none of these, PictureError for a file that is no picture.
    """
    if name in DEMONSTRATION:
        return Subject(name, demonstration(size, (name,))[name], DEMONSTRATION_WNIDS.get(name))
    of_set, colon, number = name.rpartition(":")
    if colon and number.isdigit():
        pictures = picture_set(of_set, seed=seed, n=int(number) + 1 if of_set == "shapes" else None)
        if int(number) >= len(pictures):
            raise DataError(f"{of_set} has {len(pictures)} pictures, numbered from 0: there is no {number}.")
        row = int(pictures.labels[int(number)])
        return Subject(name.replace(":", "-"), pictures[int(number)], pictures.wnids[row])
    if not Path(name).suffix:
        raise DataError(
            f"No picture is called {name!r}: name one of {', '.join(DEMONSTRATION)}, "
            "a set and number (shapes:3), or a file."
        )
    return Subject(Path(name).stem, centre_square(load_picture(name), size))


def subjects(names: str, size: int = 256, seed: int = 0) -> list[Subject]:
    """Several pictures, their names separated by blanks; see ``subject``."""
    return [subject(name, size, seed) for name in names.split()]


def picture_set(name: str, *, n: int | None = None, seed: int = 0) -> PictureSet:
    """``n`` labelled pictures (all, if None): "shapes" draws them, any other name is a pack under HIERLIB_DATA.

    Shapes are drawn with a seed far from those that training draws with, so that no picture was ever trained on.
    Of a pack, ``n`` pictures are drawn with ``seed``, in the pack's order. Raises DataError as ``open_pack`` does.
    """
    if name == "shapes":
        from ..images.shapes import shapes

        return shapes(96 if n is None else n, seed=HELD_OUT + seed)
    from ..images.packs import open_pack

    pack = open_pack(name)
    if n is None or n >= len(pack):
        return pack
    return pack.subset(np.sort(np.random.default_rng(seed).permutation(len(pack))[:n]))


def open_codec(name: str) -> ProgressiveCodec:
    """A codec by name: a classical one of ``hierlib.baselines``, shipped weights, or the path of a weights file; ours
    with ``-refined`` behind it (``tiny-refined``) searches while it encodes.
    """
    from .. import baselines
    from ..training import refine

    if name.endswith(baselines.REFINED):
        return refine.load(name.removesuffix(baselines.REFINED))
    return baselines.load(name)
