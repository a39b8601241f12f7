"""EfficientPIC's networks: two latents with a synthesis each, and the walk over base, top, and what the REM refines.

Its paper and what they are for: ``efficientpic.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from ..codec.config import CodecConfig
from ..codec.entropy import BlockCoder, DepthwiseResidual, EntropyPath
from ..codec.network import HierNetwork
from ..codec.transforms import (
    STRIDE_Y,
    LinearPath,
    Shape,
    analysis,
    block_slices,
    hyper_analysis,
    hyper_synthesis,
    synthesis,
)  # fmt: skip

SUPPORT = 5  # slices that a later one sees
FINER = 2.0  # how much finer than the base's the top's steps are before training, and so what predicts it


class Head(nn.Module):
    """One synthesis: g_s, and the linear path beside it where the configuration has one."""

    def __init__(self, shape: Shape, linear: bool):
        super().__init__()
        self.g_s = synthesis(shape)
        self.linear = nn.ConvTranspose2d(shape.M, 3, STRIDE_Y, STRIDE_Y) if linear else None

    def forward(self, y_hat: Tensor) -> Tensor:
        x_hat = self.g_s(y_hat)
        return x_hat + 0.5 if self.linear is None else x_hat + self.linear(y_hat)


def scales_and_means(channels_in: int, width: int, size: int) -> nn.Sequential:
    """Context -> (log sigma, mu) of a slice, stacked."""
    return nn.Sequential(
        nn.Conv2d(channels_in, width, 1), nn.GELU(), nn.Conv2d(width, width, 3, 1, 1), nn.GELU(),
        nn.Conv2d(width, 2 * size, 1),
    )  # fmt: skip


class RateEnhancement(nn.Module):
    """REM: (log_sigma, mu) of the top, and y_t as its first part says it -> both refined; at first as they are."""

    def __init__(self, M: int, width: int):
        super().__init__()
        self.enter, self.leave = nn.Conv2d(3 * M, width, 1), nn.Conv2d(width, 2 * M, 1)
        self.residual = nn.Sequential(DepthwiseResidual(width), DepthwiseResidual(width))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(cast(Tensor, self.leave.bias))

    def forward(self, log_sigma: Tensor, mu: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        change = self.leave(self.residual(self.enter(torch.cat([log_sigma, mu / 4, seen - mu], 1))))
        d_log_sigma, d_mu = change.chunk(2, 1)
        return log_sigma + d_log_sigma, mu + d_mu


class TwoLayerPath(EntropyPath):
    """z_hat -> base slices -> the top before its REM -> the top after it."""

    def __init__(self, shape: Shape, slices: list[tuple[int, int]], width: int):
        nn.Module.__init__(self)
        M, self.slices = shape.M, slices
        self.h_s, self.h_s_top = hyper_synthesis(shape), hyper_synthesis(shape)
        sizes = [high - low for low, high in slices]
        seen = [slices[min(i, SUPPORT) - 1][1] if i else 0 for i in range(len(slices))]  # channels of the support
        self.seen = seen
        self.base = nn.ModuleList(scales_and_means(2 * M + s, width, n) for n, s in zip(sizes, seen))
        self.top = nn.ModuleList(scales_and_means(2 * M + n + 2 * s, width, n) for n, s in zip(sizes, seen))
        self.gain = nn.Parameter(torch.ones(M, 1, 1))
        self.rem = RateEnhancement(M, width)

    def steps(self, z_hat: Tensor, coder: BlockCoder, levels: int | None = None) -> Iterator[Tensor]:
        """As ``EntropyPath.steps``: yields the base (B, M, h, w), then the top, of the same shape."""
        P = self.h_s(z_hat)
        base = P.new_zeros(len(P), P.shape[1] // 2, *P.shape[2:])
        for i, (low, high) in enumerate(self.slices[:levels]):
            support = base[:, : self.seen[i]]
            log_sigma, mu = self.base[i](torch.cat([P, support], 1)).chunk(2, 1)
            while (part := coder.code_block(i, log_sigma, mu)) is None:
                yield base
            base = torch.cat([base[:, :low], part, base[:, high:]], 1)
            yield base
        if levels is not None and levels <= len(self.slices):
            return
        log_sigma, mu = self.predicted(self.h_s_top(z_hat), base)
        top = base
        for number in (len(self.slices), len(self.slices) + 1)[: levels and levels - len(self.slices)]:
            while (part := coder.code_block(number, log_sigma, mu)) is None:
                yield top
            yield (top := part)
            log_sigma, mu = self.rem(log_sigma, mu, top)

    def predicted(self, P: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        """(log_sigma, mean) of all of the top, (B, M, h, w) each, from P_t and the decoded base alone."""
        log_sigmas: list[Tensor] = []
        means: list[Tensor] = []
        for network, (low, high) in zip(self.top, self.slices):
            before = [*means[:SUPPORT], *log_sigmas[:SUPPORT]]
            log_sigma, mu = network(torch.cat([P, base[:, low:high], *before], 1)).chunk(2, 1)
            log_sigmas.append(log_sigma)
            means.append(self.gain[low:high] * base[:, low:high] + mu)
        return torch.cat(log_sigmas, 1), torch.cat(means, 1)


class EfficientPICNetwork(HierNetwork):
    """Both latents. The blocks of the configuration are the slices; its M channels are those of one latent."""

    def __init__(self, config: CodecConfig):
        nn.Module.__init__(self)
        self.config, c = config, config
        one, two = (Shape(c.N, M, c.N_hyper, c.depths, c.heads, c.windows, c.mlp_ratio) for M in (c.M, 2 * c.M))
        self.g_a, self.h_a = analysis(two), hyper_analysis(two)
        self.g_s = nn.ModuleList(Head(one, c.linear_path) for _ in range(2))  # type: ignore[assignment]
        self.entropy = TwoLayerPath(one, block_slices(c.blocks), c.entropy_hidden[0] // 3)
        self.forward_linear = nn.Conv2d(3, 2 * c.M, STRIDE_Y, STRIDE_Y) if c.linear_path else None

    def analyse(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> y = [y_b | y_t], (B, 2M, H/16, W/16)."""
        y = self.g_a(x - 0.5)
        return y if self.forward_linear is None else y + self.forward_linear(x)

    def synthesise(self, y_hat: Tensor) -> Tensor:
        """y_b (B, M, h, w), or y_b and y_t (B, 2M, h, w), of which the second is shown -> x_hat, not clamped."""
        heads = cast(nn.ModuleList, self.g_s)
        base, top = y_hat[:, : self.config.M], y_hat[:, self.config.M :]
        return heads[1](top) if top.shape[1] else heads[0](base)

    @torch.no_grad()
    def start_from(self, pictures: Tensor, step: float = 64.0) -> None:
        """As the backbone's: both latents are the principal components, the top's steps finer."""
        if self.forward_linear is None:
            return
        cast(TwoLayerPath, self.entropy).gain.fill_(FINER)
        path = LinearPath(self.config.M)
        path.start_from_pca(pictures, (self.config.M,), step)
        for latent, (head, scale) in enumerate(zip(cast(Iterable[Head], self.g_s), (1.0, FINER))):
            rows = slice(latent * self.config.M, (latent + 1) * self.config.M)
            self.forward_linear.weight[rows] = path.forward_conv.weight * scale
            cast(Tensor, self.forward_linear.bias)[rows] = cast(Tensor, path.forward_conv.bias) * scale
            linear = cast(nn.ConvTranspose2d, head.linear)
            linear.weight.copy_(path.inverse_conv.weight / scale)
            cast(Tensor, linear.bias).copy_(cast(Tensor, path.inverse_conv.bias))
            cast(Tensor, head.g_s[-1].weight).mul_(0.1)
            cast(Tensor, head.g_s[-1].bias).zero_()
        cast(Tensor, self.g_a[-1].weight).mul_(0.1)
        cast(Tensor, self.g_a[-1].bias).zero_()
