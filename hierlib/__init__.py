"""Coarse-to-fine image coding for machine perception: one byte string a picture, and any prefix of it decodes.

>>> codec = hierlib.load("tiny")              # doctest: +SKIP
>>> stream = codec.encode(image)              # doctest: +SKIP
>>> codec.decode(stream[:400])                # doctest: +SKIP

``import hierlib`` is quick: what it offers is imported when it is first touched.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import compat

if TYPE_CHECKING:
    from .baselines import load_weights as load
    from .codec.protocol import Decoded, ProgressiveCodec
    from .errors import HierlibError
    from .evaluation import evaluate
    from .hierarchy.tree import Hierarchy

__version__ = "0.1.0"
__all__ = ["Decoded", "Hierarchy", "HierlibError", "ProgressiveCodec", "__version__", "evaluate", "load"]

_HOME = {  # where each lies; behind a colon, under which name
    "load": "baselines:load_weights",
    "Decoded": "codec.protocol",
    "ProgressiveCodec": "codec.protocol",
    "HierlibError": "errors",
    "evaluate": "evaluation",
    "Hierarchy": "hierarchy.tree",
}
_ROOMS = (
    "baselines",
    "classifiers",
    "codec",
    "errors",
    "evaluation",
    "files",
    "hierarchy",
    "images",
    "training",
    "views",
)

compat.install()
# OpenMP's threads spin while they wait for each other. Where another process holds one of two cores, a training step
# then took 5 s for 0.1 s; waiting passively costs nothing where nobody is in the way. Must be set before torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "IPython" in sys.modules:  # in a notebook: a bare object on a cell's last line is a picture or a table
    import_module(".views.shown", __name__).register()


def __getattr__(name: str) -> Any:
    """Import what is asked for, once (PEP 562)."""
    if name in _HOME:
        room, _, there = _HOME[name].partition(":")
        found = getattr(import_module(f".{room}", __name__), there or name)
        globals()[name] = found
        return found
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
