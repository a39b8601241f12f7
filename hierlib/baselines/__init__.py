"""Other people's codecs behind the protocol: one file per peer.

>>> from hierlib import baselines
>>> sorted(baselines.KNOWN)
['avif-fresh', 'jpeg', 'jpeg-best', 'jpeg2000', 'jpeg2000-fresh', 'jxl-fresh', 'webp-fresh', 'zoo']
>>> baselines.load("jpeg-50").name
'jpeg-50'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import HierlibError

if TYPE_CHECKING:
    from ..codec.protocol import ProgressiveCodec

KNOWN = {
    "jpeg2000": "layered JPEG 2000, one file cut at packets",
    "jpeg": "progressive JPEG at quality 75; jpeg-1 to jpeg-95 name another quality",
    "jpeg-best": "progressive JPEG, for each byte budget the quality whose cut file is nearest to the picture",
    "jpeg2000-fresh": "JPEG 2000, a fresh file for each byte budget: a ceiling, not progressive",
    "webp-fresh": "WebP, a fresh file for each budget",
    "avif-fresh": "AVIF, a fresh file for each budget",
    "jxl-fresh": "JPEG XL, a fresh file for each budget",
    "zoo": "CompressAI's architectures, one rate a file; zoo64-mbt2018-mean names weights, or a file zoo.safetensors",
}


class CodecError(HierlibError):
    """A codec that nobody here knows, or one asked for with settings it does not have."""


def classical(name: str) -> bool:
    """Whether ``name`` means a codec of this room, and not weights: it need not be one that exists (``jpeg-96``)."""
    return re.match(r"(jpeg|webp|avif|jxl)(2000)?(-|$)|zoo|.*zoo\.safetensors$", name) is not None


def load(name: str) -> ProgressiveCodec:
    """A peer by name. Raises CodecError, with the known names, for an unknown one; DataError or CheckpointError where
    its weights are not there.
    """
    from .fresh import FreshAVIF, FreshJPEGXL, FreshWebP
    from .jpeg import BestJPEG, ProgressiveJPEG
    from .jpeg2000 import FreshJPEG2000, LayeredJPEG2000

    if name.startswith("zoo") or name.endswith("zoo.safetensors"):
        from ..files import shipped
        from .zoo import ZooCodec

        path = name if name.endswith(".safetensors") else shipped("checkpoints", f"{name}.safetensors")
        return ZooCodec.from_file(path)
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
