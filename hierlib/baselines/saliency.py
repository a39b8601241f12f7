"""LimitNet's networks: a small encoder, a saliency head on its latent, a heavier decoder, and the score that orders.

Its paper and what they are for: ``limitnet.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..codec.config import CodecConfig
from ..codec.entropy import BlockCoder, EntropyPath
from ..codec.network import HierNetwork
from ..codec.transforms import LinearPath, conv, deconv

STRIDE = 8  # pixels a side of a place of y
CELLS = 8  # a side, of the saliency that is sent, whatever the picture's size
SALIENCY = 32  # its levels
LEVELS, MIDDLE = 64, 32  # of the quantiser, 6 bits; the one at a channel's centre
LEAD = 5  # channels that the most salient place is ahead of the least


def small_encoder(M: int) -> nn.Sequential:
    """g_a, as published: (B, 3, H, W) -> (B, M, H/8, W/8), 10,524 numbers at M = 12."""
    return nn.Sequential(conv(3, 16, 7), nn.ReLU(), conv(16, 16, 5, 4), nn.ReLU(), conv(16, M, 3, 1))


class SaliencyHead(nn.Module):
    """h_a: y (B, M, h, w) -> (B, 1, 8, 8) in [0, 31], not rounded. Five small convolutions, as published.

    The last one starts at zero: until it is trained all places are alike, and the order is that of the channels.
    """

    def __init__(self, M: int):
        super().__init__()
        hidden = [layer for width in (M, 16, 16, 16) for layer in (conv(width, 16, 3, 1), nn.ReLU())]
        self.layers, self.leave = nn.Sequential(*hidden), conv(16, 1, 3, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, y: Tensor) -> Tensor:
        saliency = torch.sigmoid(self.leave(self.layers(y)))
        return (SALIENCY - 1) * F.adaptive_avg_pool2d(saliency, CELLS)


class Residual(nn.Module):
    """x + conv(ReLU(conv(x)))."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(conv(width, width, 3, 1), nn.ReLU(), conv(width, width, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def large_decoder(M: int, N: tuple[int, int, int]) -> nn.Sequential:
    """g_s: (B, M, h, w) -> (B, 3, 8h, 8w). N: widths at half, a quarter and an eighth of the picture.

    Most of the work is done at an eighth, where a convolution is cheapest and sees most: what is missing has to be
    guessed from what is around it.
    """
    n1, n2, n3 = N
    return nn.Sequential(
        conv(M, n3, 3, 1), Residual(n3), Residual(n3), nn.ReLU(), deconv(n3, n2), Residual(n2), nn.ReLU(),
        deconv(n2, n1), nn.ReLU(), deconv(n1, 3, 5),
    )  # fmt: skip


class ScoredPath(EntropyPath):
    """The quantiser of each channel, and the order of all symbols. Nothing is predicted: the tables are static.

    centre, log_step: (M, 1, 1), the 64 values of a channel are ``centre + exp(log_step) * (q - 32)``.
    """

    def __init__(self, M: int):
        nn.Module.__init__(self)
        self.M = M
        self.centre, self.log_step = (nn.Parameter(torch.zeros(M, 1, 1)) for _ in range(2))

    @torch.no_grad()
    def cover(self, y: Tensor) -> None:
        """Set the 64 values to reach from the least to the largest y of each channel, (n, M, h, w)."""
        by_channel = y.transpose(0, 1).flatten(1)
        centre = by_channel.mean(1)
        above, below = by_channel.amax(1) - centre, centre - by_channel.amin(1)
        step = torch.maximum(above / (LEVELS - 1 - MIDDLE), below / MIDDLE).clamp(min=1e-3)
        self.centre.copy_(centre.view(-1, 1, 1))
        self.log_step.copy_(step.log().view(-1, 1, 1))

    def position(self, y: Tensor) -> Tensor:
        """Where y lies on the quantiser: in [0, 63], not rounded."""
        return ((y - self.centre) / self.log_step.exp() + MIDDLE).clamp(0, LEVELS - 1)

    def values(self, q: Tensor) -> Tensor:
        """What the integers stand for; both (B, M, h, w)."""
        return self.centre + self.log_step.exp() * (q - MIDDLE)

    def keys(self, levels: Tensor, height: int, width: int) -> Tensor:
        """Saliency of the cells (B, 1, 8, 8), 0 to 31 -> (B, M, height, width) whole numbers, sent largest first.

        The paper's score saliency + (M - c) / 5, times 155: nothing in the order is a fraction.
        """
        placed = levels.repeat_interleave(height // CELLS, 2).repeat_interleave(width // CELLS, 3)
        lead = (SALIENCY - 1) * (self.M - torch.arange(self.M, device=levels.device))
        return LEAD * placed + lead[:, None, None]

    def steps(self, z_hat: Tensor, coder: BlockCoder, levels: int | None = None) -> Iterator[Tensor]:
        """As ``EntropyPath.steps``: one block, of all channels. z_hat: the cells' levels, (B, 1, 8, 8).

        The coder gets the keys in the place of log sigma, and as mu what stands where nothing has come: 0.
        """
        key = self.keys(z_hat, *coder.places)  # type: ignore[attr-defined]  # those of limitnet.py have it
        while (y_hat := coder.code_block(0, key, torch.zeros_like(key))) is None:
            yield torch.zeros_like(key)
        yield y_hat


class LimitNetNetwork(HierNetwork):
    """A small encoder and a decoder twenty times as large (TINY's widths), with the linear path beside both."""

    stride = STRIDE
    entropy: ScoredPath

    def __init__(self, config: CodecConfig):
        nn.Module.__init__(self)
        self.config, M = config, config.M
        self.g_a, self.g_s = small_encoder(M), large_decoder(M, config.N)
        self.h_a = SaliencyHead(M)  # type: ignore[assignment]
        self.entropy = ScoredPath(M)
        self.linear = LinearPath(M, STRIDE) if config.linear_path else None

    @torch.no_grad()
    def start_from(self, pictures: Tensor, step: float = 64.0) -> None:
        """As the backbone's, the strongest component first; the quantiser reaches over what the pictures have."""
        super().start_from(pictures, step)
        if self.linear is not None:
            self.entropy.cover(self.analyse(pictures))
