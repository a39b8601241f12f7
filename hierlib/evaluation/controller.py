"""PICM's controller, fitted and tried: does a receiver that waits for 60 % get 60 % right, and what does it save?

    python -m hierlib.evaluation.controller picm -o picm-controller.json

Every second picture of the set is for fitting, the others are for trying. Needs the pack under HIERLIB_DATA.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import HierlibError, refuse

if TYPE_CHECKING:
    import pandas as pd

    from ..baselines.picm import Asked, Controller
    from ..classifiers import Classifier
    from ..codec.model import HierCodec
    from ..hierarchy.tree import Hierarchy
    from ..images.packs import PictureSet

CHECKPOINTS = (32, 48, 64, 96, 128, 192, 256, 384)  # bytes, at 64x64
WANTED = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def asked(classifier: Classifier, tree: Hierarchy, level: str) -> Asked:
    """Probabilities of the groups of ``level``, as the controller asks for them."""
    from .. import classifiers

    judge = classifiers.restrict(classifier, tree.wnids)
    return lambda images: tree.log_probabilities(judge(images), level).exp()


def tried(
    codec: HierCodec, pictures: PictureSet, ask: Asked, truth: np.ndarray, wanted: Sequence[float] = WANTED
) -> tuple[Controller, pd.DataFrame]:
    """A controller fitted on pictures 0, 2, 4, ..., and what it does on 1, 3, 5, ...: a row for each ``wanted``.

    truth: (n,) the right answer of each picture. Columns: sure (share of pictures that stopped before the end, or were
    sure there), reached (accuracy of those), accuracy (of all), bytes (mean received, of all), saved (share of the
    bytes of whole files), whole_accuracy (of whole files).
    """
    import pandas as pd
    import torch
    from tqdm.auto import tqdm

    from ..baselines.picm import Controller, answers

    with torch.inference_mode():
        images = tqdm([pictures[i] for i in range(len(pictures))], desc=f"{codec.name}: asking", unit="picture")
        answer, confidence, received = answers(codec, images, ask, CHECKPOINTS)
    right = answer == truth[:, None]
    controller = Controller.fit(CHECKPOINTS, confidence[::2], right[::2])
    confidence, right, received = confidence[1::2], right[1::2], received[1::2]
    each, rows = np.arange(len(right)), []
    for share in wanted:
        stop = np.array([controller.first(row, share) for row in confidence])
        sure = np.array([controller.probability(i, c) >= share for i, c in zip(stop, confidence[each, stop])])
        found, sent = right[each, stop], received[each, stop]
        row = {"wanted": share, "n": len(right), "sure": sure.mean()}
        row |= {"reached": found[sure].mean() if sure.any() else float("nan"), "accuracy": found.mean()}
        row |= {"bytes": sent.mean(), "saved": 1 - sent.sum() / received[:, -1].sum()}
        rows.append({**row, "whole_accuracy": right[:, -1].mean()})
    return controller, pd.DataFrame(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hierlib.evaluation.controller", description="Fit PICM's controller.")
    parser.add_argument("codec", help="a model's name or path")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the controller to write (.json)")
    parser.add_argument("--pictures", default="tiny-imagenet-val", metavar="PACK", help="(tiny-imagenet-val)")
    parser.add_argument("--hierarchy", default="tiny-clip", metavar="TABLE", help="(tiny-clip)")
    parser.add_argument("--level", default="coarse", help="which of its levels is answered (coarse)")
    parser.add_argument("--classifier", default="tiny", metavar="NAME", help="(tiny)")
    parser.add_argument("--limit", type=int, metavar="N", help="only N pictures, evenly spread")
    arguments = parser.parse_args(argv)
    from .. import classifiers, hierarchy
    from ..baselines import load_weights
    from ..images.packs import open_pack

    try:
        codec, pictures = load_weights(arguments.codec), open_pack(arguments.pictures)
        count = min(arguments.limit or len(pictures), len(pictures))
        pictures = pictures.subset([i * len(pictures) // count for i in range(count)])
        tree = hierarchy.load(arguments.hierarchy).restrict(pictures.wnids)
        groups = tree.groups[tree.levels.index(arguments.level)] if arguments.level in tree.levels else None
        if groups is None:
            return refuse(f"{tree.name} has no level {arguments.level}; it has {', '.join(tree.levels)}.")
        ask = asked(classifiers.load(arguments.classifier), tree, arguments.level)
        controller, table = tried(codec, pictures, ask, groups[pictures.labels])
    except HierlibError as error:
        return refuse(error)
    controller.save(arguments.output)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
