"""Other people's codecs behind the protocol: one file per peer.

Classical ones, and whole files of other networks, are known by name (``KNOWN``). Progressive learned ones are methods
on our backbone, coder and container (``METHODS``) and come with weights: ``load`` takes the name of shipped ones, or
the path of others.

>>> from hierlib import baselines
>>> sorted(baselines.KNOWN)
['avif-fresh', 'jpeg', 'jpeg-best', 'jpeg2000', 'jpeg2000-fresh', 'jxl-fresh', 'webp-fresh', 'zoo']
>>> sorted(baselines.METHODS)
['ctc', 'deephq', 'dpict', 'efficientpic', 'limitnet', 'picm', 'plonq', 'progdtd']
>>> baselines.load("jpeg-50").name
'jpeg-50'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import CheckpointError, HierlibError

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
    "zoo": "CompressAI's architectures, one rate a file; zoo64-mbt2018-mean names weights, or a file zoo.safetensors",
}
METHODS = {
    "ctc": "DPICT with networks that say what the next trits are, and where y lies (Jeon et al. 2023)",
    "deephq": "eight learned steps a channel, intervals that shrink, chosen elements only (Lee et al. 2024)",
    "dpict": "trit planes, the most distortion for a bit first (Lee et al. 2022)",
    "efficientpic": "base and top latent, the top's largest sigma first, known from the base (Presta et al. 2025)",
    "limitnet": "a small encoder; early channels and salient places first (Hojjat et al. 2024)",
    "picm": "trit planes, the largest sigma first, trained for a classifier (Kim et al. 2025)",
    "plonq": "three nested quantisation steps, the largest sigma first (Lu et al. 2021)",
    "progdtd": "channel by channel, z and y in turns, trained with both tails dropped (Hojjat et al. 2023)",
}
TASK = "-task"  # ends the name of a peer's weights that were trained with the task loss
REFINED = "-refined"  # ends the name of ours with an encoder that searches (training/refine.py)
PLAIN = {"tiny": "tiny-plain"}  # ours, which have the task loss: the same codec trained as long without it
ALWAYS_TASK = (*PLAIN, "photo", "picm")  # names that do not say so
APART = ("limitnet",)  # made for weak senders: figures and tables of rates leave them out, views/senders.py has them


class CodecError(HierlibError):
    """A codec that nobody here knows, or one asked for with settings it does not have."""


def classical(name: str) -> bool:
    """Whether ``name`` means one of ``KNOWN``, and no weights on our backbone: it need not exist (``jpeg-96``)."""
    return re.match(r"(jpeg|webp|avif|jxl)(2000)?(-|$)|zoo|.*zoo\.safetensors$", name) is not None


def peer(name: str) -> bool:
    """Whether ``name`` means weights of one of ``METHODS``: theirs begin with the method's (``plonq-task``)."""
    return name.partition("-")[0] in METHODS


def apart(name: str) -> bool:
    """Whether ``name`` is one of weights, shipped or trained here, of a method that is not compared by its rates.

    >>> [apart(name) for name in ("limitnet-task", "limitnet64-rd", "progdtd-task")]
    [True, True, False]
    """
    return any(method in name for method in APART)


def without_task(name: str) -> str | None:
    """Of weights that were trained with the task loss, what those trained without it are called; None for others.

    >>> [without_task(name) for name in ("ctc-task", "ctc", "tiny")]
    ['ctc', None, 'tiny-plain']
    """
    return name.removesuffix(TASK) if name.endswith(TASK) else PLAIN.get(name)


def with_task(name: str) -> bool:
    """Whether weights of this name had a classifier in their training's loop.

    >>> [with_task(name) for name in ("ctc-task", "ctc", "picm", "tiny", "tiny-plain")]
    [True, False, True, True, False]
    """
    return name.endswith(TASK) or name in ALWAYS_TASK


def methods() -> dict[str, type[HierCodec]]:
    """What weights may be of, by the name in their file: ours, and each of ``METHODS``."""
    from ..codec.model import HierCodec
    from .ctc import CTC
    from .deephq import DeepHQ
    from .dpict import DPICT
    from .efficientpic import EfficientPIC
    from .limitnet import LimitNet
    from .picm import PICM
    from .plonq import PLONQ
    from .progdtd import ProgDTD

    learned = (HierCodec, DPICT, CTC, PICM, PLONQ, ProgDTD, EfficientPIC, DeepHQ, LimitNet)
    return {each.method: each for each in learned}


def load_weights(name: str | Path, device: str = "cpu") -> HierCodec:
    """A learned codec, ours or a peer's, by the name of shipped weights, or by file, folder or hub repository.

    Raises CheckpointError as ``codec.weights.load`` does.
    """
    from ..codec import weights

    return weights.load(name, device, methods().values())


def load_for(stream: bytes) -> HierCodec:
    """The shipped codec that wrote ``stream``, of which any prefix will do; ``tiny`` if none of them did, or the prefix
    is too short to say. Raises BitstreamError for what is no stream.
    """
    from ..codec import container, weights

    codec = load_weights("tiny")  # first: to ask all others takes six times as long
    header = container.read_header(stream)
    if header is None or header.fingerprint == codec.fingerprint:
        return codec
    name = weights.known_as(header.fingerprint)
    return codec if name is None else load_weights(name)


def load(name: str | Path, device: str = "cpu") -> ProgressiveCodec:
    """Any codec by name: one of ``KNOWN``, or a learned one as ``load_weights`` does.

    Raises CodecError, with the known names, for an unknown one; DataError or CheckpointError where the weights that are
    named are not there, or are none.
    """
    if classical(str(name)):
        return _classical(str(name))
    try:
        return load_weights(name, device)
    except CheckpointError as error:
        if re.fullmatch(r"[\w-]+", str(name)):  # a name, not a path or a repository
            raise CodecError(f"{error} Without weights there are {', '.join(KNOWN)}.") from None
        raise


def _classical(name: str) -> ProgressiveCodec:
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
