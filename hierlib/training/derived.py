"""What is computed once of every training picture, before training: a teacher's answers, and what a codec leaves.

Both cost more than the classifier that learns from them, so they are made once a picture and kept in the run folder in
parts: an interrupted pass goes on where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch

from .. import classifiers
from ..codec import weights
from ..codec.network import y_hat_of
from ..codec.trainable import TrainableCodec
from ..files import digest, replacing
from ..images.packs import PictureSet
from .data import identity
from .loss import cut

PART = 1000  # pictures a file: at most this many are computed again after an interruption
BATCH = 32


def teacher_logits(name: str, pictures: PictureSet, folder: Path, device: str = "cpu") -> np.ndarray:
    """(n, classes) float16 logits of classifier ``name`` on all ``pictures``, restricted to their classes.

    folder: where parts are kept, in a folder that names the teacher and the set. Raises DataError or HierarchyError
    if there is no such classifier, or it does not know the classes.
    """

    @cache
    def teacher() -> classifiers.Classifier:  # not needed where all answers are kept
        return classifiers.restrict(classifiers.load(name, device), pictures.wnids)

    def ask(indices: range) -> np.ndarray:
        chunks = [indices[first : first + BATCH] for first in range(0, len(indices), BATCH)]
        return np.concatenate([teacher()(pictures.batch(c).to(device)).half().cpu().numpy() for c in chunks])

    return _in_parts(_place(folder, name, pictures), ask, (len(pictures), len(pictures.wnids)), f"asking {name}")


def decoded_pictures(name: str, pictures: PictureSet, folder: Path, device: str = "cpu") -> np.ndarray:
    """(n, H, W, 3) uint8: each picture as the codec ``name`` shows it after a random cut; sides multiples of 64.

    The level is drawn evenly, then the cut inside its block. A classifier that is asked in the loop of training sees
    nothing else, and one that has never seen such pictures is easily pleased by patterns that no other one takes for
    the thing.
    """
    path = weights.locate(name)
    model = TrainableCodec.from_file(path).to(device)
    network, likelihoods = model.network, model.likelihoods
    levels = len(network.config.blocks)

    def decode(indices: range) -> np.ndarray:
        torch.manual_seed(indices[0])
        out = []
        for number, first in enumerate(range(0, len(indices), BATCH)):
            blocks = number % levels + 1
            walked = likelihoods(network, pictures.batch(indices[first : first + BATCH]).to(device), blocks)
            parts = [part["y_hat"] for part in walked["blocks"][:-1]] + [cut(walked["blocks"][-1], 1.0)]
            x_hat = network.synthesise(y_hat_of(parts, network.config.M))
            out.append((x_hat.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(out)

    shape = (len(pictures), *pictures[0].shape[1:], 3)
    return _in_parts(_place(folder, f"{path.stem}-{digest(path)}", pictures), decode, shape, f"decoding with {name}")


def _place(folder: Path, name: str, pictures: PictureSet) -> Path:
    return Path(folder) / re.sub(r"[/: ]+", "-", f"{name} on {identity(pictures)}")


def _in_parts(place: Path, compute: Callable[[range], np.ndarray], shape: tuple[int, ...], says: str) -> np.ndarray:
    """``compute`` of all ``shape[0]`` pictures, in parts that are kept under ``place``."""
    from tqdm.auto import tqdm

    parts = []
    with tqdm(total=shape[0], desc=says, unit="picture", mininterval=1) as bar, torch.inference_mode():
        for first in range(0, shape[0], PART):
            indices = range(first, min(first + PART, shape[0]))
            path = place / f"{first:08d}.npy"
            part = _kept(path, (len(indices), *shape[1:]))
            if part is None:
                part = compute(indices)
                with replacing(path) as temporary:
                    np.save(temporary, part)
            parts.append(part)
            bar.update(len(indices))
    return np.concatenate(parts)


def _kept(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """A part that an earlier pass finished, or None; one that is damaged or of other pictures is computed again."""
    try:
        part: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return part if part.shape == shape else None
