"""Weights of a backbone -> a weights file of a peer: the method's name in its description, networks in float16.

    python -m hierlib.baselines.adopt dpict runs/trits64-rd/codec.safetensors -o dpict.safetensors
    python -m hierlib.baselines.adopt blocks runs/tiny64/codec.safetensors -o tiny.safetensors    # ours, in float16

Half the size, and exact: the rounded numbers are the weights, for whoever encodes and whoever decodes; all arithmetic
is as before, float64 in the entropy path. What the rounding costs is in the cards (data/checkpoints).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..codec import weights
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..errors import HierlibError, refuse
from ..files import digest, replacing
from . import METHODS, CodecError, methods

NAMES = (HierCodec.method, *METHODS)  # ours, and the peers


def adopt(method: str, source: str | Path, path: Path, half: bool = True) -> None:
    """Write the codec's weights ``source`` (name or path) as weights of ``method``, one of ``NAMES``, to ``path``.

    half: networks in float16. Raises CodecError for an unknown method, CheckpointError for what is no codec's weights.
    """
    if method not in NAMES:
        raise CodecError(f"No method is called {method!r}; there are {', '.join(NAMES)}.")
    found = weights.locate(source)
    tensors, about = weights.read(found)
    was, kinds = about.get("method", HierCodec.method), methods()
    if was != method and (kinds[method].networks is not HierNetwork or kinds[was].networks is not HierNetwork):
        raise CodecError(
            f"{found} holds networks of {was}, and {method} has others: it becomes nothing else; train the method with "
            "its own recipe."
        )
    if method == "ctc" and not any(k.startswith("context.") for k in tensors):
        raise CodecError(
            f"{found} has no networks for CTC: train them, `python -m hierlib train ctc64 --start-from {source}`, and "
            "adopt what that leaves."
        )
    if half:
        tensors = {k: v.half() if k.startswith(("network.", "context.")) else v for k, v in tensors.items()}
    about |= {"method": method, "name": path.stem, "trained_as": f"{about.get('name', found.stem)} {digest(found)}"}
    write(path, tensors, about)


def write(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """A weights file of these tensors, whole or not at all."""
    from safetensors.torch import save_file

    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata={"kind": weights.KIND, "about": json.dumps(about)})


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hierlib.baselines.adopt", description="Make a peer's weights file.")
    parser.add_argument("method", help=", ".join(NAMES))
    parser.add_argument("weights", help="of a backbone: a name, or a .safetensors that training left")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors to write")
    parser.add_argument("--full", action="store_true", help="keep float32")
    arguments = parser.parse_args(argv)
    try:
        adopt(arguments.method, arguments.weights, arguments.output, half=not arguments.full)
    except HierlibError as error:
        return refuse(error)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
