"""The third coder of the walk: likelihoods, as CompressAI has them, for training. Decoding needs none of this file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .network import HierNetwork
from .tables import LOG_SIGMA_MIN, TAIL, gaussian_rows, quantised
from .transforms import block_slices

MAX_LOG_SIGMA = math.log(256)


class Likelihoods(nn.Module):
    """CompressAI's factorised prior for z and conditional Gaussian for y, and the forward pass that uses them."""

    def __init__(self, channels: int):
        super().__init__()
        from compressai.entropy_models import EntropyBottleneck, GaussianConditional

        self.bottleneck = EntropyBottleneck(channels)
        self.gaussian = GaussianConditional(None)

    def forward(
        self, network: HierNetwork, x: Tensor, levels: int | None = None, y_step: float = 1.0
    ) -> dict[str, Any]:
        """Walk ``levels`` blocks (all if None) of x (B, 3, H, W), sides multiples of 64.

        Returns y_hat (B, M, h, w) as the decoder would have it after those blocks (straight-through rounding), its
        parts by block with their ``mu``, ``log_sigma``, ``likelihood`` and ``bits`` (B, size, h, w), ``likelihood_z``
        (B, N_hyper, h/4, w/4) and ``bits_z`` (B,). Rates are of noisy values
        in training mode, of rounded ones in evaluation mode, as in CompressAI. y_step: quantisation step of y, to which
        noise, sigma and rounding are scaled (a nested quantiser trains with many).
        """
        y = network.analyse(x)
        z = network.h_a(y)
        likelihood_z = self._likelihood_of_z(z)
        medians = self.bottleneck.quantiles[:, :, 1:2].detach().reshape(1, -1, 1, 1)
        z_hat = round_through(z - medians) + medians
        coder = LikelihoodCoder(self.gaussian, y, block_slices(network.config.blocks), y_step)
        y_hat = network.entropy.walk(z_hat, coder, levels)
        bits_z = -torch.log2(likelihood_z).sum((1, 2, 3))
        return {"y": y, "y_hat": y_hat, "blocks": coder.blocks, "likelihood_z": likelihood_z, "bits_z": bits_z}

    def _likelihood_of_z(self, z: Tensor) -> Tensor:
        """What ``self.bottleneck(z)`` gives, without a permutation by a tensor that makes a GPU wait eight times."""
        b = self.bottleneck
        by_channel = z.transpose(0, 1).contiguous()
        flat = by_channel.reshape(len(by_channel), 1, -1)
        noisy = b.quantize(flat, "noise" if b.training else "dequantize", b._get_medians())
        likelihood, _, _ = b._likelihood(noisy)
        if b.use_likelihood_bound:
            likelihood = b.likelihood_lower_bound(likelihood)
        return likelihood.reshape(by_channel.shape).transpose(0, 1)

    def symbol_rows(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Integer frequencies and lowest values of the rows that y's symbols are sent under."""
        return gaussian_rows()

    @torch.no_grad()
    def prior_rows(self) -> tuple[list[np.ndarray], np.ndarray, Tensor]:
        """Integer frequencies and lowest values of z's channels, relative to their medians, and the medians (C,)."""
        medians = self.bottleneck.quantiles[:, 0, 1].detach().clone()
        reach = (self.bottleneck.quantiles[:, 0, [0, 2]].detach() - medians[:, None]).abs().amax().clamp(4, 64)
        values = torch.arange(-int(reach.ceil()) - 2, int(reach.ceil()) + 3, dtype=torch.float32)
        grid = values[None, None, :] + medians[:, None, None]
        lower = self.bottleneck._logits_cumulative(grid - 0.5, stop_gradient=True)
        upper = self.bottleneck._logits_cumulative(grid + 0.5, stop_gradient=True)
        sign = -torch.sign(lower + upper)
        mass = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()[:, 0].double().numpy()
        rows, lows = [], []
        for channel in mass:
            kept = np.flatnonzero(channel > 1e-6)
            first, last = (int(kept[0]), int(kept[-1])) if len(kept) else (len(channel) // 2, len(channel) // 2)
            inside = channel[first : last + 1]
            rows.append(quantised(np.append(inside, max(TAIL, 1 - inside.sum()))))
            lows.append(int(values[first]))
        return rows, np.array(lows), medians


class LikelihoodCoder:
    """Walks with bits per symbol; ``blocks`` keeps (y_hat, mu, bits) of each."""

    def __init__(self, gaussian: nn.Module, y: Tensor, slices: list[tuple[int, int]], y_step: float = 1.0):
        self.gaussian, self.y, self.slices, self.y_step = gaussian, y, slices, y_step
        self.blocks: list[dict[str, Tensor]] = []

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        low, high = self.slices[block]
        y, s = self.y[:, low:high], self.y_step
        log_sigma = log_sigma.clamp(LOG_SIGMA_MIN - 3, MAX_LOG_SIGMA)
        _, likelihood = self.gaussian(y / s, log_sigma.exp() / s, mu / s)
        y_hat = s * round_through((y - mu) / s) + mu
        bits = -torch.log2(likelihood)
        self.blocks.append({"y_hat": y_hat, "mu": mu, "log_sigma": log_sigma, "likelihood": likelihood, "bits": bits})
        return y_hat


def round_through(x: Tensor) -> Tensor:
    """Rounding whose gradient is one (straight-through)."""
    return x + (torch.round(x) - x).detach()
