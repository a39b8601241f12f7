"""CTC's two kinds of networks, over one plane: what its trits probably are, and where y probably lies.

Their inputs are integers (scale indices, means and intervals, from ``Nested``), so that they are the same on every
machine; their outputs become integers again before anything is coded with them (``ctc.py``).
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..codec.coders import MU_GRID
from ..codec.tables import LOG_SIGMA_MIN, LOG_SIGMA_STEP, TOTAL
from .intervals import Nested

RATE_PLANES = 3  # that have networks of CRR: 2, 1, 0; in those above few elements have begun
SHOWN_PLANES = 3  # networks of CDR: after planes 1 and 2, and after any above


class PlaneContext:
    """What is known of a map of elements when plane j begins. index, mu, k: (..., M, h, w) integers, k at j + 1."""

    def __init__(self, nested: Nested, index: np.ndarray, mu: np.ndarray, j: int, k: np.ndarray):
        self.nested, self.index, self.mu, self.j, self.k = nested, index, mu, j, k
        self.starts = nested.starts[index]
        self.members = self.starts >= j

    @property
    def rows(self) -> np.ndarray:
        """Of the tables, for each element."""
        flat = self.nested.rows(self.index.ravel(), self.j, self.k.ravel())
        return flat.reshape(self.index.shape)

    def probabilities(self) -> np.ndarray:
        """(..., 3, M, h, w): of the trits -1, 0, 1 by the hyperprior alone; (0, 1, 0) of what has none here."""
        at = self.nested.tables.begins[self.rows][..., None] + np.arange(4)
        p = np.diff(self.nested.tables.cumulative[at]) / TOTAL
        return np.moveaxis(np.where(self.members[..., None], p, (0.0, 1.0, 0.0)), -1, -4)

    def means(self, trit: int | None = None) -> np.ndarray:
        """E[v] of the present interval, or of the third that ``trit`` would leave."""
        begun = self.starts > self.j  # what is not begun is known as nothing, k = 0
        j, k = np.where(begun, self.j + 1, self.starts + 1), self.k
        if trit is not None:
            j, k = np.where(self.members, self.j, j), np.where(self.members, 3 * self.k + trit, k)
        flat = self.nested.means(self.index.ravel(), j.ravel(), k.ravel())
        return flat.reshape(self.index.shape) / MU_GRID

    def inputs(self) -> Tensor:
        """(B, 9 M, h, w) float64: probabilities, y_hat for each trit, y_hat, log sigma, mu; y in steps of four."""
        mu = self.mu / MU_GRID
        parts = [*np.moveaxis(self.probabilities(), -4, 0)]
        parts += [(mu + self.means(trit)) / 4 for trit in (-1, 0, 1)]
        parts += [(mu + self.means()) / 4, LOG_SIGMA_MIN + LOG_SIGMA_STEP * self.index, mu / 4]
        return torch.from_numpy(np.concatenate(parts, axis=-3))


class Residual(nn.Module):
    """x + pointwise(GELU(3x3(x)))."""

    def __init__(self, dim: int):
        super().__init__()
        self.spatial, self.pointwise = nn.Conv2d(dim, dim, 3, 1, 1), nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(F.gelu(self.spatial(x)))


def _network(channels_in: int, dim: int, channels_out: int) -> nn.Sequential:
    """Residual blocks between pointwise layers; it starts by saying zero."""
    last = nn.Conv2d(dim, channels_out, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(cast(Tensor, last.bias))
    return nn.Sequential(nn.Conv2d(channels_in, dim, 1), Residual(dim), Residual(dim), nn.GELU(), last)


class RateReduction(nn.Module):
    """CRR: logits of the trits -1 and 1 less that of 0, (B, 2, M, h, w): those of the hyperprior, moved and sharpened.

    The paper's is softmax((p + delta) * sharpness); ours is of log p, so that an untrained network is the hyperprior.
    """

    def __init__(self, M: int, dim: int):
        super().__init__()
        self.M, self.network = M, _network(9 * M, dim, 3 * M)

    def forward(self, inputs: Tensor) -> Tensor:
        p = inputs[:, : 3 * self.M].unflatten(1, (3, self.M)).clamp(min=1 / TOTAL).log()
        lower, upper, sharpness = self.network(inputs).unflatten(1, (3, self.M)).unbind(1)
        logits = torch.stack((p[:, 0] - p[:, 1] + lower, p[:, 2] - p[:, 1] + upper), 1)
        return logits * sharpness.clamp(-2, 2).exp()[:, None]


class DistortionReduction(nn.Module):
    """CDR: y_hat (B, M, h, w) moved inside each element's interval, which is v in [low, high]."""

    def __init__(self, M: int, dim: int):
        super().__init__()
        self.network = _network(3 * M, dim, M)

    def forward(self, y_hat: Tensor, log_sigma: Tensor, mu: Tensor, low: Tensor, high: Tensor) -> Tensor:
        moved = y_hat + 4 * self.network(torch.cat((y_hat / 4, log_sigma, mu / 4), 1))
        return moved.clamp(mu + low, mu + high)


class Contexts(nn.Module):
    """All networks of a CTC codec. dim: their width."""

    def __init__(self, M: int, dim: int = 64):
        super().__init__()
        self.rate = nn.ModuleList(RateReduction(M, dim) for _ in range(RATE_PLANES))
        self.shown = nn.ModuleList(DistortionReduction(M, dim) for _ in range(SHOWN_PLANES))

    def logits(self, context: PlaneContext) -> Tensor:
        """(B, 2, M, h, w) for the plane that begins, one of the last ``RATE_PLANES``."""
        inputs = context.inputs().to(next(self.parameters()))
        return cast(Tensor, self.rate[context.j](inputs))

    def corrected(
        self, nested: Nested, index: np.ndarray, mu: np.ndarray, j: np.ndarray, k: np.ndarray, plane: int
    ) -> Tensor:
        """y_hat (B, M, h, w) where elements are known to (j, k), all of that shape; ``plane``: the last complete."""
        like = next(self.parameters())
        means = nested.means(index.ravel(), j.ravel(), k.ravel()).reshape(index.shape)
        width = np.where(j > nested.starts[index], math.inf, 3.0**j)
        low, high = 3.0**j * k - width / 2, 3.0**j * k + width / 2
        low, high = np.where(j == 0, k, low), np.where(j == 0, k, high)
        y_hat, log_sigma, centre = (mu + means) / MU_GRID, LOG_SIGMA_MIN + LOG_SIGMA_STEP * index, mu / MU_GRID
        tensors = (torch.from_numpy(x).to(like) for x in (y_hat, log_sigma, centre, low, high))
        return cast(Tensor, self.shown[min(plane, SHOWN_PLANES) - 1](*tensors))
