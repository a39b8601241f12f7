"""The measured results that ship, as a list, and the command that makes them.

``python -m hierlib.evaluation.measure`` makes those of ``data/results`` that are not there (``make measure`` does it);
named ones, ``jpeg2000-imagenet-val227``, are made anew. It needs the packs and graphs under HIERLIB_DATA. An
interrupted one goes on where it stopped; ``torchrun --nproc-per-node 2 -m hierlib.evaluation.measure`` shares the
pictures out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..baselines import PLAIN, REFINED, peer
from ..errors import HierlibError, refuse
from ..files import PACKAGE, shipped
from .ranks import ranks

PEERS = ("jpeg2000", "jpeg-best", "jpeg2000-fresh", "webp-fresh", "avif-fresh", "jxl-fresh")
# peers on our backbone whose weights ship
LEARNED = tuple(sorted(p.stem for p in shipped("checkpoints").glob("*.safetensors") if peer(p.stem)))
# CompressAI's architectures whose weights ship
ZOO = tuple(sorted(p.stem for p in shipped("checkpoints").glob("zoo*.safetensors")))
OURS = ("tiny", "photo", *PLAIN.values())
CODECS = (*OURS, *LEARNED, *ZOO, *PEERS)
SMALL = (32, 64, 128, 192, 256, 384, 512, 1024)  # bytes, at 64x64: up to 2 bits per pixel
LARGE = (128, 256, 512, 1024, 2048, 4096, 8192)  # bytes, at 224x224 and 227x227: 0.02 to 1.3 bits per pixel
# ImageNet graphs: the first was in no training; the second's answers were in photo's loop, its maps in tiny's too
PUBLIC = ("mobilenet_v2_1.0", "mobilenet_edgetpu_1.0")


@dataclass(frozen=True)
class Measurement:
    """One file of results. level_ends: also at the codec's level ends (JPEG 2000's twenty would double the time)."""

    codec: str
    pictures: str
    hierarchy: str
    classifiers: tuple[str, ...]
    budgets: tuple[int, ...] = field(repr=False)
    level_ends: bool = False
    refined: bool = False

    @property
    def codec_name(self) -> str:
        """As the results have it."""
        return f"{self.codec}{REFINED if self.refined else ''}"

    @property
    def name(self) -> str:
        """Of the file, without its ending."""
        return f"{self.codec_name}-{self.pictures}"

    def path(self, folder: Path) -> Path:
        """Under a folder of results; those of encoders that search lie apart from what all are compared in."""
        return folder / ("refined" if self.refined else "") / f"{self.name}.parquet"


SETS = (
    ("tiny-imagenet-val", "tiny-clip", ("tiny", "mobilenet_v2_1.0"), SMALL),
    ("imagenet-val227", "imagenet-clip", PUBLIC, LARGE),
    ("imagenette-woof-224-val", "imagenet-clip", PUBLIC, LARGE),
)
# Ours, measured with a searching encoder too, which takes seconds a picture
SEARCHED = ("tiny-tiny-imagenet-val", "tiny-plain-tiny-imagenet-val", "photo-imagenet-val227")
UNSEEN = {"tiny-imagenet-val": ("tiny-taught",)}  # asked about ours too: sees 64x64, was in no training
ENDS = {"imagenet-val227": (386, 3220)}  # 0.06 and 0.5 bits per pixel: where ours is to be ahead of JPEG 2000


def ours_for(pictures: str) -> str:
    """Which of our codecs is meant for a set: ``photo`` where pictures are as large as it was trained for."""
    return "photo" if any(name == pictures and budgets == LARGE for name, _, _, budgets in SETS) else "tiny"


def _meant(codec: str, pictures: str) -> bool:
    """Whether a codec is measured on a set: all are, but ``photo`` and those without the task loss on one kind only."""
    ours = ours_for(pictures)
    return codec in (ours, PLAIN.get(ours)) or codec not in ("photo", *PLAIN.values())


def _budgets(codec: str, pictures: str, budgets: tuple[int, ...]) -> tuple[int, ...]:
    """A set's, and for ours and JPEG 2000 the ends of the range in which they are compared."""
    compared = codec in (ours_for(pictures), "jpeg2000")
    return tuple(sorted((*budgets, *(ENDS.get(pictures, ()) if compared else ()))))


PLAN = tuple(
    Measurement(
        codec,
        pictures,
        hierarchy,
        (*classifiers, *(UNSEEN.get(pictures, ()) if codec in OURS else ())),
        _budgets(codec, pictures, budgets),
        level_ends=codec in OURS,
    )
    for pictures, hierarchy, classifiers, budgets in SETS
    for codec in CODECS
    if _meant(codec, pictures)
)
PLAN += tuple(replace(made, refined=True) for made in PLAN if made.name in SEARCHED)


def measure(made: Measurement, folder: Path) -> Path:
    """Make ``folder/<name>.parquet``. Raises DataError where pictures or classifiers are not at hand."""
    from .. import baselines, classifiers, hierarchy
    from ..images.packs import open_pack
    from ..training import refine
    from .sweep import evaluate

    codec = refine.load(made.codec) if made.refined else baselines.load(made.codec)
    jury = [classifiers.load(name) for name in made.classifiers]  # under their own names
    path = made.path(folder)
    partial = path.with_name(f".{made.name}.partial.jsonl")
    results = evaluate(
        codec,
        open_pack(made.pictures),
        hierarchy.load(made.hierarchy),
        jury,
        made.budgets,
        level_ends=made.level_ends,
        resume=partial,
    )
    ranks().keep(results, path, partial)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hierlib.evaluation.measure", description="Make the shipped results.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="make these anew (all that are not there)")
    parser.add_argument("--out", type=Path, default=PACKAGE.parent / "data" / "results", metavar="FOLDER")
    arguments = parser.parse_args(argv)
    known = {made.name: made for made in PLAN}
    if unknown := sorted(set(arguments.names) - set(known)):
        return refuse(f"no result is called {unknown[0]}; there are {', '.join(known)}.")
    wanted = arguments.names or [name for name, made in known.items() if not made.path(arguments.out).exists()]
    try:
        for name in wanted:
            path = measure(known[name], arguments.out)
            if ranks().rank == 0:
                print(path, flush=True)
    except HierlibError as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
