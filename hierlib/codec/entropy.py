"""The entropy path of Sec. 4.2: P, C -> (log sigma, mu) of a block, and the one walk over the blocks.

    z_hat --h_s--> P ; for block j:  C_j = C(I_{k_{j-1}} * y_hat)          Eq. 3, 4 (shifted: complete earlier blocks)
                                     log_sigma, mu = H([P; C_j])           Eq. 5
                                     + f_j([P; C_j]) for j > 1             Eq. 6, 7 (in the log domain: sigma > 0)

Deviation: the paper's Eq. 3 lets a block into its own context, which no decoder can follow once f has any spatial
support. Here a block sees complete earlier blocks only, everywhere (all 25 tokens of the 5x5 window).
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transforms import WindowAttention, block_slices

KERNEL = 5


class ContextAttention(nn.Module):
    """TIC's context module without its causal mask: (B, M, h, w) -> C, (B, 2M, h, w).

    Attention over the 25 tokens of the 5x5 neighbourhood of each place, summed, then an MLP. Norm, query, key and
    value are made once per place and then gathered: the same numbers as per token, at a 25th of the work.
    """

    def __init__(self, M: int, heads: int, ratio: float):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(M), nn.LayerNorm(M)
        self.qkv, self.proj = nn.Linear(M, 3 * M), nn.Linear(M, M)
        self.position = nn.Parameter(torch.zeros(KERNEL**2, KERNEL**2, heads))
        nn.init.trunc_normal_(self.position, std=0.02)
        hidden = int(ratio * M)
        self.mlp = nn.Sequential(nn.Linear(M, hidden), nn.GELU(), nn.Linear(hidden, M))
        self.out = nn.Linear(M, 2 * M)

    def forward(self, y: Tensor) -> Tensor:
        batch, M, h, w = y.shape
        pad = KERNEL // 2
        tokens = F.pad(y, (pad, pad, pad, pad)).permute(0, 2, 3, 1)  # zeros outside are tokens too, as in TIC
        qkv = self.qkv(self.norm1(tokens)).unfold(1, KERNEL, 1).unfold(2, KERNEL, 1)  # (B, h, w, 3M, 5, 5)
        qkv = qkv.reshape(batch, h * w, 3, self.heads, M // self.heads, KERNEL**2)
        q, k, v = (part.transpose(-1, -2).contiguous() for part in qkv.unbind(2))  # (B, hw, heads, 25, M/heads)
        scores = q @ k.transpose(-1, -2) * (M // self.heads) ** -0.5 + self.position.permute(2, 0, 1)
        weights = scores.softmax(-1).sum(-2, keepdim=True)  # the 25 queries are summed in the end: sum them here
        mixed = (weights @ v).reshape(batch, h * w, M)
        around = KERNEL**2 * F.avg_pool2d(F.pad(y, (pad,) * 4), KERNEL, 1).flatten(2).transpose(1, 2)
        total = around + F.linear(mixed, self.proj.weight) + KERNEL**2 * self.proj.bias
        total = total + self.mlp(self.norm2(total))
        return self.out(total).transpose(1, 2).reshape(batch, 2 * M, h, w)


class DepthwiseResidual(nn.Module):
    """x + pointwise(GELU(depthwise 3x3(x)))."""

    def __init__(self, dim: int):
        super().__init__()
        self.depthwise, self.pointwise = nn.Conv2d(dim, dim, 3, 1, 1, groups=dim), nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(F.gelu(self.depthwise(x)))


class DeltaNetwork(nn.Module):
    """f_k of Eq. 6: [P; C] -> additive corrections (2 * size, h, w) to log sigma and mu of one block.

    Depthwise residual blocks, then spatial attention in 8x8 windows. The last layer starts at zero: no correction.
    """

    def __init__(self, M: int, size: int, dim: int):
        super().__init__()
        self.enter = nn.Conv2d(4 * M, dim, 1)
        self.residual = nn.Sequential(DepthwiseResidual(dim), DepthwiseResidual(dim))
        self.norm, self.attention = nn.LayerNorm(dim), WindowAttention(dim, 4, 8, False)
        self.leave = nn.Conv2d(dim, 2 * size, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        x = self.residual(self.enter(features))
        x = x + self.attention(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return self.leave(x)


class EntropyParameters(nn.Module):
    """H and the Delta-networks: [P; C] -> (log_sigma, mu) of block j, each (B, size_j, h, w)."""

    def __init__(self, M: int, blocks: tuple[int, ...], hidden: tuple[int, int], delta_dim: int):
        super().__init__()
        self.M, self.slices = M, block_slices(blocks)
        self.shared = nn.Sequential(
            nn.Conv2d(4 * M, hidden[0], 1), nn.GELU(), nn.Conv2d(hidden[0], hidden[1], 1), nn.GELU()
        )
        self.head = nn.Conv2d(hidden[1], 2 * M, 1)
        sizes = [high - low for low, high in self.slices[1:]]
        self.delta = nn.ModuleList(DeltaNetwork(M, size, delta_dim) for size in sizes) if delta_dim else None

    def forward(self, features: Tensor, block: int) -> tuple[Tensor, Tensor]:
        low, high = self.slices[block]
        rows = [*range(low, high), *range(self.M + low, self.M + high)]  # only the block's slice of H is computed
        out = F.conv2d(self.shared(features), self.head.weight[rows], self.head.bias[rows])  # type: ignore[index]
        if block and self.delta is not None:
            out = out + self.delta[block - 1](features)
        log_sigma, mu = out.chunk(2, 1)
        return log_sigma, mu


class BlockCoder(Protocol):
    """What the walk is walked with: likelihoods in training, push in encoding, pop in decoding."""

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> tuple[Tensor, bool]:
        """(log_sigma, mu) of a block, (B, size, h, w) each -> y_hat of the block, and whether it is complete."""
        ...


class EntropyPath(nn.Module):
    """h_s, C, H and f together. In use it runs in float64, one picture at a time; in training in float32."""

    def __init__(self, h_s: nn.Module, context: ContextAttention, parameters_net: EntropyParameters):
        super().__init__()
        self.h_s, self.context, self.parameters_net = h_s, context, parameters_net

    def walk(self, z_hat: Tensor, coder: BlockCoder, levels: int | None = None) -> Tensor:
        """Walk the blocks in order with ``coder``; returns y_hat (B, M, h, w), zero where no block was begun.

        This is the only loop over blocks there is: training, encoding and decoding differ in ``coder`` alone.
        z_hat: (B, N_hyper, h/4, w/4). levels: how many blocks to walk; all if None. Stops after an incomplete block.
        """
        P = self.h_s(z_hat)
        slices = self.parameters_net.slices
        y_hat = P.new_zeros(P.shape[0], self.parameters_net.M, *P.shape[2:])
        for block, (low, high) in enumerate(slices[:levels]):
            # channels from ``low`` on are still zero: the prefix mask of Eq. 3; before block 1 there is one constant
            C = self.context(y_hat) if block else self.context(y_hat[:1, :, :1, :1]).expand(-1, -1, *P.shape[2:])
            C = C.expand(P.shape[0], -1, -1, -1)
            log_sigma, mu = self.parameters_net(torch.cat([P, C], 1), block)
            part, complete = coder.code_block(block, log_sigma, mu)
            y_hat = torch.cat([y_hat[:, :low], part, y_hat[:, high:]], 1)
            if not complete:
                break
        return y_hat
