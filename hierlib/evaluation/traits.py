"""What a codec is like beside its curve: what a cut of its file may be, bytes of a file of nothing, size, time.

``python -m hierlib.evaluation.traits --write`` takes the times of every codec whose results ship, in turns within one
run, and writes ``data/results/traits.csv``; ``overview`` puts them into a table beside the measured accuracy.
"""

from __future__ import annotations

import argparse
import io
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import HierlibError, refuse
from ..files import PACKAGE, shipped, write_bytes

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from ..codec.protocol import ProgressiveCodec

SIZES = (64, 256)
EMPTY = 64  # side of the grey picture


def traits(codecs: Sequence[ProgressiveCodec], pictures: Mapping[int, Sequence[Tensor]], repeats: int = 5) -> Any:
    """A frame, one row per codec; the first is the one that times are told in.

    pictures: (3, side, side) in [0, 1], by side. codec; cut: what a prefix may be; portable: whether bytes that one
    machine wrote mean the same on another (both as the codec says of itself, "" and NaN where it does not);
    empty_bytes: of the file of a grey picture of 64x64; parameters: of its networks, 0 without one; encode_<side>_s and
    decode_<side>_s: medians over pictures and ``repeats``, all codecs in turns, of the whole file; machine: on what.
    """
    import pandas as pd
    import torch

    rows: list[dict[str, Any]] = []
    for codec in codecs:
        counts = getattr(codec, "parameter_counts", {"all": 0})
        rows.append(
            {
                "codec": codec.name,
                "cut": getattr(codec, "cut", ""),
                "portable": getattr(codec, "portable", None),
                "empty_bytes": len(codec.encode(torch.full((3, EMPTY, EMPTY), 0.5))),
                "parameters": counts["all"],
            }
        )
    for side, shown in pictures.items():
        spent: dict[tuple[str, str], list[float]] = {}
        for number in range(-1, repeats):  # the first round does not count
            for image in shown:
                for codec in codecs:
                    encode_s, stream = _seconds(lambda: codec.encode(image))  # noqa: B023
                    decode_s, _ = _seconds(lambda: codec.decode(stream))  # noqa: B023
                    if number >= 0:
                        spent.setdefault((codec.name, "encode"), []).append(encode_s)
                        spent.setdefault((codec.name, "decode"), []).append(decode_s)
        for row in rows:
            for what in ("encode", "decode"):
                row[f"{what}_{side}_s"] = statistics.median(spent[row["codec"], what])
    on = f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return pd.DataFrame(rows).assign(machine=on)


def _seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def of_shipped(repeats: int) -> pd.DataFrame:
    """Of ours, and of every codec whose results ship, on the demonstration photographs."""
    from ..baselines import load
    from ..images.pictures import demonstration
    from .measure import CODECS

    pictures = {side: list(demonstration(side).values())[:3] for side in SIZES}
    return traits([load(name) for name in CODECS], pictures, repeats)


def from_shipped() -> pd.DataFrame:
    """As ``of_shipped`` gave it on the machine that made the results."""
    import pandas as pd

    return pd.read_csv(shipped("results", "traits.csv"))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hierlib.evaluation.traits", description="What each codec is like.")
    parser.add_argument("--write", action="store_true", help="write data/results/traits.csv")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="times that each file is made and decoded")
    arguments = parser.parse_args(argv)
    try:
        found = of_shipped(arguments.repeats)
    except HierlibError as error:
        return refuse(error)
    text = io.StringIO()
    found.to_csv(text, index=False, lineterminator="\n", float_format="%.5g")
    if arguments.write:
        write_bytes(PACKAGE.parent / "data" / "results" / "traits.csv", text.getvalue().encode())
    print(text.getvalue(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
