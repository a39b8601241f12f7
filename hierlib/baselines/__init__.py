"""Other people's codecs behind the protocol: one file per peer.

Classical ones are known by name (``KNOWN``). Learned ones are methods on our backbone, coder and container
(``METHODS``), and come with weights: ``load`` takes the name of shipped ones, or the path of others.

>>> from hierlib import baselines
>>> sorted(baselines.KNOWN)
['avif-fresh', 'jpeg', 'jpeg-best', 'jpeg2000', 'jpeg2000-fresh', 'jxl-fresh', 'webp-fresh']
>>> sorted(baselines.METHODS)
['dpict', 'picm', 'plonq']
>>> baselines.load("jpeg-50").name
'jpeg-50'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import HierlibError

if TYPE_CHECKING:
    from pathlib import Path

    from ..codec.model import HierCodec
    from ..codec.protocol import ProgressiveCodec

KNOWN = {
    "jpeg2000": "layered JPEG 2000, one file cut at packets",
    "jpeg": "progressive JPEG at quality 75; jpeg-1 to jpeg-95 name another quality",
    "jpeg-best": "progressive JPEG, for each byte budget the quality whose cut file is nearest to the picture",
    "jpeg2000-fresh": "JPEG 2000, a fresh file for each byte budget: a ceiling, not progressive",
    "webp-fresh": "WebP, a fresh file for each budget",
    "avif-fresh": "AVIF, a fresh file for each budget",
    "jxl-fresh": "JPEG XL, a fresh file for each budget",
}
METHODS = {
    "dpict": "trit planes, the most distortion for a bit first (Lee et al. 2022)",
    "picm": "trit planes, the largest sigma first, trained for a classifier (Kim et al. 2025)",
    "plonq": "three nested quantisation steps, the largest sigma first (Lu et al. 2021)",
}


class CodecError(HierlibError):
    """A codec that nobody here knows, or one asked for with settings it does not have."""


def classical(name: str) -> bool:
    """Whether ``name`` means a classical codec, and not weights: it need not be one that exists (``jpeg-96``)."""
    return re.match(r"(jpeg|webp|avif|jxl)(2000)?(-|$)", name) is not None


def methods() -> dict[str, type[HierCodec]]:
    """What weights may be of, by the name in their file: ours, and each of ``METHODS``."""
    from ..codec.model import HierCodec
    from .dpict import DPICT
    from .picm import PICM
    from .plonq import PLONQ

    return {each.method: each for each in (HierCodec, DPICT, PICM, PLONQ)}


def load_weights(name: str | Path, device: str = "cpu") -> HierCodec:
    """A learned codec, ours or a peer's, by the name of shipped weights, or by file, folder or hub repository.

    Raises CheckpointError as ``codec.weights.load`` does.
    """
    from ..codec import weights

    return weights.load(name, device, methods().values())


def load(name: str | Path, device: str = "cpu") -> ProgressiveCodec:
    """Any codec by name: a classical one, or a learned one as ``load_weights`` does.

    Raises CodecError, with the known names, for a classical one that is none; CheckpointError for weights.
    """
    return _classical(str(name)) if classical(str(name)) else load_weights(name, device)


def _classical(name: str) -> ProgressiveCodec:
    from .fresh import FreshAVIF, FreshJPEGXL, FreshWebP
    from .jpeg import BestJPEG, ProgressiveJPEG
    from .jpeg2000 import FreshJPEG2000, LayeredJPEG2000

    kind, _, quality = name.partition("-")
    if kind == "jpeg" and quality.isdigit():
        return ProgressiveJPEG(int(quality))
    makers: dict[str, type] = {
        "jpeg2000": LayeredJPEG2000,
        "jpeg": ProgressiveJPEG,
        "jpeg-best": BestJPEG,
        "jpeg2000-fresh": FreshJPEG2000,
        "webp-fresh": FreshWebP,
        "avif-fresh": FreshAVIF,
        "jxl-fresh": FreshJPEGXL,
    }
    if name in makers:
        return makers[name]()
    known = "; ".join(f"{known} ({what})" for known, what in KNOWN.items())
    raise CodecError(f"No codec is called {name!r}. Known: {known}.")
