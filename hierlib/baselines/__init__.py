"""Other people's codecs behind the protocol: one file per peer.

>>> from hierlib import baselines
>>> sorted(baselines.KNOWN)
['jpeg', 'jpeg2000', 'jpeg2000-fresh']
>>> baselines.load("jpeg-50").name
'jpeg-50'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import HierlibError

if TYPE_CHECKING:
    from ..codec.protocol import ProgressiveCodec

KNOWN = {
    "jpeg2000": "layered JPEG 2000, one file cut at packets",
    "jpeg2000-fresh": "JPEG 2000, a fresh file for each byte budget: a ceiling, not progressive",
    "jpeg": "progressive JPEG at quality 75; jpeg-1 to jpeg-95 name another quality",
}


class CodecError(HierlibError):
    """A codec that nobody here knows, or one asked for with settings it does not have."""


def load(name: str) -> ProgressiveCodec:
    """A peer by name. Raises CodecError, with the known names, for an unknown one."""
    from .jpeg import ProgressiveJPEG
    from .jpeg2000 import FreshJPEG2000, LayeredJPEG2000

    kind, _, quality = name.partition("-")
    if kind == "jpeg" and (quality.isdigit() or not quality):
        return ProgressiveJPEG(int(quality)) if quality else ProgressiveJPEG()
    if name in ("jpeg2000", "jpeg2000-fresh"):
        return LayeredJPEG2000() if name == "jpeg2000" else FreshJPEG2000()
    known = "; ".join(f"{known} ({what})" for known, what in KNOWN.items())
    raise CodecError(f"No codec is called {name!r}. Known: {known}.")
