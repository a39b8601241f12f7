"""PICM: progressive learned image compression for machine perception (Kim, Kim, Lee; 2025, 2512.20070).

    trit planes              as DPICT: the most significant trit of every element first
    latent prioritisation    inside a plane the largest sigma first, a function of z: no map is sent
    training                 bpp + lambda MSE + gamma cross-entropy of a frozen classifier (recipe trits64)
    adaptive decoding        the receiver asks its classifier as the bytes come in, and stops as soon as the answer is
                             right with the wanted confidence

The paper's code has neither its codec nor its controller. What is ours: the controller below looks at the confidence
of the answer and at how many bytes it has, and knows from pictures apart how often such an answer is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..codec.model import HierCodec
from ..codec.protocol import Decoded
from ..codec.tables import Tables
from ..errors import DataError
from ..files import shipped, write_json
from .intervals import digits
from .trits import TritPlanes

if TYPE_CHECKING:
    from torch import Tensor

    Asked = Callable[[Tensor], Tensor]  # (B, 3, H, W) in [0, 1] -> (B, answers) probabilities


class PICM(TritPlanes):
    """Trit planes, the largest sigma first."""

    method = "picm"

    def starts(self, gaussians: Tables) -> np.ndarray:
        return digits(gaussians) - 1


@dataclass(frozen=True)
class Stopped:
    """Where a receiver stopped. bytes: received until then. answer: the class or group; probability: that it is right,
    as the controller knows it. sure: whether that was enough, or the stream was at its end.
    """

    bytes: int
    answer: int
    probability: float
    sure: bool
    decoded: Decoded


@dataclass(frozen=True)
class Controller:
    """When to stop. checkpoints: bytes at which the receiver asks, rising; the end of the stream is one more.

    confidences, shares: for each of these, a rising curve: of answers as confident as that, this share was right.
    """

    checkpoints: tuple[int, ...]
    confidences: tuple[tuple[float, ...], ...]
    shares: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, checkpoints: Sequence[int], confidence: np.ndarray, right: np.ndarray) -> Controller:
        """From answers on pictures apart. confidence: (n, checkpoints + 1) largest probability, the last of the whole
        stream; right: the same shape, bool. Isotonic regression at each checkpoint, of at least two pictures.
        """
        from sklearn.isotonic import IsotonicRegression

        if confidence.shape != right.shape or confidence.shape[1:] != (len(checkpoints) + 1,) or len(right) < 2:
            raise DataError("A controller is fitted on an answer a picture and checkpoint, of two pictures at least.")
        curves = []
        for sure, was_right in zip(confidence.T, right.T, strict=True):
            fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(sure, was_right.astype(float))
            curves.append((tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_))))
        return cls(tuple(checkpoints), *zip(*curves, strict=True))

    def probability(self, checkpoint: int, confidence: float) -> float:
        """That an answer of this confidence at the ``checkpoint``-th point is right."""
        return float(np.interp(confidence, self.confidences[checkpoint], self.shares[checkpoint]))

    def first(self, confidence: np.ndarray, wanted: float) -> int:
        """The first checkpoint whose answer is right with probability ``wanted``; the last if there is none.

        confidence: (checkpoints + 1,) of one picture.
        """
        enough = [self.probability(i, c) >= wanted for i, c in enumerate(confidence)]
        return enough.index(True) if any(enough) else len(enough) - 1

    def receive(self, codec: HierCodec, chunks: Sequence[bytes], ask: Asked, wanted: float) -> Stopped:
        """Take a stream in pieces and stop when the answer is right with probability ``wanted`` in [0, 1].

        ask: a classifier's probabilities. Only as many bytes are read as the decision takes. Raises BitstreamError as
        ``codec.decode`` does.
        """
        decoder, waiting = codec.decoder(), bytearray()
        pieces = iter(chunks)
        for number, checkpoint in enumerate((*self.checkpoints, None)):
            while checkpoint is None or len(decoder) + len(waiting) < checkpoint:
                piece = next(pieces, None)
                if piece is None:
                    checkpoint = None
                    break
                waiting += piece
            take = len(waiting) if checkpoint is None else checkpoint - len(decoder)
            decoded = decoder.feed(bytes(waiting[:take])).picture()
            del waiting[:take]
            last = checkpoint is None
            probabilities = ask(decoded.image[None])[0]
            share = self.probability(len(self.checkpoints) if last else number, float(probabilities.max()))
            if share >= wanted or last:
                return Stopped(len(decoder), int(probabilities.argmax()), share, share >= wanted, decoded)
        raise AssertionError("the last checkpoint is the end of the stream")

    def save(self, path: Path) -> None:
        """As JSON, beside the weights that it was fitted with."""
        write_json(path, {"checkpoints": self.checkpoints, "confidences": self.confidences, "shares": self.shares})

    @classmethod
    def load(cls, path: Path | None = None) -> Controller:
        """What ``save`` wrote; if None, the one that ships with ``picm``, for the coarse level of ``tiny-clip`` and the
        classifier ``tiny``. Raises DataError for a file that is missing or something else.
        """
        path = path or shipped("checkpoints", "picm-controller.json")
        try:
            found = json.loads(path.read_text())
            curves = [tuple(tuple(map(float, each)) for each in found[name]) for name in ("confidences", "shares")]
            return cls(tuple(map(int, found["checkpoints"])), *curves)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no controller ({error!r}): fit one and save it.") from None


def answers(
    codec: HierCodec, images: Sequence[Tensor], ask: Asked, checkpoints: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a receiver of each picture says at each checkpoint and at the end: what ``fit`` needs.

    Returns answer (n, checkpoints + 1) int, confidence of the same shape, and bytes received there, the same.
    """
    import torch

    said = []
    for image in images:
        stream = codec.encode(image)
        cuts = [*(min(c, len(stream)) for c in checkpoints), len(stream)]
        probabilities = ask(torch.stack([decoded.image for decoded in codec.decode_cuts(stream, cuts)]))
        said.append((probabilities.argmax(1).numpy(), probabilities.amax(1).double().numpy(), np.array(cuts)))
    found = [np.stack(each) for each in zip(*said, strict=True)]
    return found[0], found[1], found[2]
