"""The networks of the codec as one module: what is trained, and what a weights file holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import CodecConfig
from .entropy import ContextAttention, EntropyParameters, EntropyPath
from .transforms import STRIDE_Y, LinearPath, Shape, analysis, hyper_analysis, hyper_synthesis, synthesis


class HierNetwork(nn.Module):
    """g_a, h_a, the entropy path (h_s, C, H, f) and g_s.

        +-----+   y    +-----+   z               P    +------+  log_sigma, mu
    x --| g_a |---+----| h_a |-------Q--- z_hat --h_s-| H, f |---------------+
        +-----+   |    +-----+                     +--| walk |               |
                  |                                |  +------+               v
                  |            C(y_hat of complete blocks)    round(y - mu), coded by block, by sigma
                  +----------------------------------------------------------+---> y_hat -- g_s --> x_hat
    """

    stride = STRIDE_Y  # pixels a side of a place of y

    def __init__(self, config: CodecConfig):
        super().__init__()
        self.config = config
        c, M = config, config.M
        shape = Shape(c.N, M, c.N_hyper, c.depths, c.heads, c.windows, c.mlp_ratio)
        self.g_a, self.g_s, self.h_a = analysis(shape), synthesis(shape), hyper_analysis(shape)
        context = ContextAttention(M, c.context_heads, c.context_ratio)
        parameters_net = EntropyParameters(M, c.blocks, c.entropy_hidden, c.delta_dim)
        self.entropy = EntropyPath(hyper_synthesis(shape), context, parameters_net)
        self.linear = LinearPath(M) if c.linear_path else None

    def analyse(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], sides multiples of 64 -> y, (B, M, H/16, W/16)."""
        y = self.g_a(x - 0.5)
        return y if self.linear is None else y + self.linear.analyse(x)

    def synthesise(self, y_hat: Tensor) -> Tensor:
        """y_hat (B, M, h, w), zeros where a block was not begun -> x_hat (B, 3, 16h, 16w), not clamped."""
        x_hat = self.g_s(y_hat)
        return x_hat + 0.5 if self.linear is None else x_hat + self.linear.synthesise(y_hat)

    @torch.no_grad()
    def start_from(self, pictures: Tensor, step: float = 64.0) -> None:
        """Initialise on ``pictures`` (n, 3, H, W): PCA linear path, and nets that start as small corrections to it.

        Without it a small model rounds everything to mu for hundreds of steps (y far below one quantisation step).
        """
        if self.linear is None:
            return
        self.linear.start_from_pca(pictures, self.config.blocks, step)
        for last in (cast(nn.Conv2d, self.g_a[-1]), cast(nn.ConvTranspose2d, self.g_s[-1])):
            last.weight.mul_(0.1)
            cast(Tensor, last.bias).zero_()


def numbers_in(*modules: nn.Module) -> int:
    """How many numbers the networks hold, trainable or not."""
    return sum(p.numel() for module in modules for p in module.parameters())


def y_hat_of(blocks: Sequence[Tensor], M: int) -> Tensor:
    """The first blocks, (B, size, h, w) each -> y_hat (B, M, h, w), zeros where a block was not begun."""
    known = torch.cat(list(blocks), 1)
    return F.pad(known, (0, 0, 0, 0, 0, M - known.shape[1]))
