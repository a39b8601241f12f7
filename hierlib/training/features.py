"""What a decoded picture lost of a classifier's features: a task loss that knows no classes.

An answer can be pleased by patterns that only its classifier takes for the thing. Feature maps of every scale leave
less room for that, and what one network's early layers look at, other networks look at too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from .. import classifiers
from ..errors import DataError


def last_of_each_scale(maps: Iterable[Tensor]) -> Iterator[Tensor]:
    """Of maps (B, C, h, w) in the order of computation the last of every size."""
    before: Tensor | None = None
    for each in maps:
        if before is not None and each.shape[-2:] != before.shape[-2:]:
            yield before
        before = each
    if before is not None:
        yield before


class Features:
    """Feature maps of a frozen classifier: the small ones and the graphs have them. DataError for any other."""

    def __init__(self, name: str, device: torch.device | str = "cpu"):
        self.network: Any = getattr(classifiers.load(name, device), "network", None)
        if not hasattr(self.network, "maps"):
            raise DataError(
                f"{name} shows no feature maps: take a small classifier trained here, or a graph under "
                "HIERLIB_DATA/classifiers such as mobilenet_edgetpu_1.0@96."
            )

    def lost(self, images: Tensor, x_hat: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] and as decoded -> how much is gone: at each scale the squared difference of the maps
        over the variance of those of ``images``, and the mean over scales. 0: nothing; 1: as if all were the mean.
        """
        with torch.no_grad():
            wanted = list(last_of_each_scale(self.network.maps(images)))
        shares = []
        for there, here in zip(wanted, last_of_each_scale(self.network.maps(x_hat)), strict=True):
            variance = there.var((0, 2, 3), correction=0).mean()
            shares.append((here - there).square().mean() / variance.clamp_min(1e-6))
        return torch.stack(shares).mean()
