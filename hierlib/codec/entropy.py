"""The entropy path of Sec. 4.2: P, C -> (log sigma, mu) of a block, and the one walk over the blocks.

    z_hat --h_s--> P ; for block j:  C_j = C(I_{k_{j-1}} * y_hat)          Eq. 3, 4 (shifted: complete earlier blocks)
                                     log_sigma, mu = H([P; C_j])           Eq. 5
                                     + f_j([P; C_j]) for j > 1             Eq. 6, 7 (in the log domain: sigma > 0)

Deviation: the paper's Eq. 3 lets a block into its own context, which no decoder can follow once f has any spatial
support. Here a block sees complete earlier blocks only, everywhere (all 25 tokens of the 5x5 window).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transforms import WindowAttention, block_slices, kept

KERNEL = 5
TILE = 8  # places a side that the context attends to at once
STRIP_PLACES = 4096  # that the entropy parameters are computed for at once: a picture of 1024x1024


class ContextAttention(nn.Module):
    """TIC's context module without its causal mask: (B, M, h, w) -> C, (B, 2M, h, w).

    Attention among the 25 tokens of the 5x5 neighbourhood of each place, summed, then an MLP. Norm, query, key and
    value are made once a place, and a query meets each key once: windows that overlap share 24 of 25 products. The
    numbers are those of the plain definition (tested) at a twentieth of its time and memory.
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
        qkv = self.qkv(self.norm1(tokens)).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 4, 1, 2, 5)
        mixed = y.new_zeros(batch, h, w, M) if max(h, w) > TILE else None
        for top in range(0, h, TILE):
            for left in range(0, w, TILE):
                bottom, right = min(top + TILE, h), min(left + TILE, w)
                part = self._mix(qkv[..., top : bottom + 2 * pad, left : right + 2 * pad, :])
                if mixed is None:
                    mixed = part
                else:
                    mixed[:, top:bottom, left:right] = part
        around = KERNEL**2 * F.avg_pool2d(F.pad(y, (pad,) * 4), KERNEL, 1).permute(0, 2, 3, 1)
        total = around + F.linear(cast(Tensor, mixed), self.proj.weight) + KERNEL**2 * self.proj.bias
        total = total + self.mlp(self.norm2(total))
        return self.out(total).permute(0, 3, 1, 2)

    def _mix(self, qkv: Tensor) -> Tensor:
        """(3, B, heads, h + 4, w + 4, M/heads) -> (B, h, w, M): the attended values of each window, summed."""
        _, batch, heads, height, width, size = qkv.shape
        h, w = height - KERNEL + 1, width - KERNEL + 1
        q, k, v = qkv.reshape(3, batch, heads, height * width, size)
        window, pairs = _window_places(h, w, q.device)
        products = (q @ k.transpose(-1, -2) * size**-0.5).flatten(-2)  # of every two places of the tile
        scores = products[..., pairs].unflatten(-1, (h * w, KERNEL**2, KERNEL**2))
        scores = scores + self.position.permute(2, 0, 1)[:, None]
        weights = scores.softmax(-1).sum(-2)  # the 25 queries are summed in the end: sum them here
        at = window.expand(batch, heads, -1, -1)
        spread = weights.new_zeros(batch, heads, h * w, height * width).scatter(-1, at, weights)
        return (spread @ v).permute(0, 2, 1, 3).reshape(batch, h, w, heads * size)


@kept
def _window_places(h: int, w: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the 25 tokens of each of h x w windows lie in the padded (h + 4, w + 4) map, and each two of them.

    (h * w, 25) places, and (h * w * 25 * 25,) places in the matrix of all pairs.
    """
    places = torch.arange((h + KERNEL - 1) * (w + KERNEL - 1)).view(h + KERNEL - 1, w + KERNEL - 1)
    window = places.unfold(0, KERNEL, 1).unfold(1, KERNEL, 1).reshape(h * w, KERNEL**2)
    pairs = window[:, :, None] * places.numel() + window[:, None, :]
    return window.to(device), pairs.flatten().to(device)


class DepthwiseResidual(nn.Module):
    """x + pointwise(GELU(depthwise 3x3(x)))."""

    def __init__(self, dim: int):
        super().__init__()
        self.depthwise, self.pointwise = nn.Conv2d(dim, dim, 3, 1, 1, groups=dim), nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(F.gelu(_depthwise(self.depthwise, x)))


def _depthwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """``conv(x)``. In float64 on a CPU torch runs a depthwise convolution as one small one a channel: add up shifts."""
    if x.dtype != torch.float64 or x.is_cuda:
        return conv(x)
    height, width = x.shape[2:]
    padded, taps = F.pad(x, (1, 1, 1, 1)), [(i, j) for i in range(3) for j in range(3)]
    shifted = (padded[..., i : i + height, j : j + width] * conv.weight[:, 0, i, j, None, None] for i, j in taps)
    return sum(shifted, cast(Tensor, conv.bias)[:, None, None])


class DeltaNetwork(nn.Module):
    """f_k of Eq. 6: [P; C] -> additive corrections (2 * size, h, w) to log sigma and mu of one block.

    Depthwise residual blocks, then spatial attention in 8x8 windows. The last layer starts at zero: no correction.
    """

    window, reach = 8, 2  # places: side of an attention window; how far the two depthwise layers see

    def __init__(self, M: int, size: int, dim: int):
        super().__init__()
        self.enter = nn.Conv2d(4 * M, dim, 1)
        self.residual = nn.Sequential(DepthwiseResidual(dim), DepthwiseResidual(dim))
        self.norm, self.attention = nn.LayerNorm(dim), WindowAttention(dim, 4, self.window, False)
        self.leave = nn.Conv2d(dim, 2 * size, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, above: int = 0, below: int = 0) -> Tensor:
        """above, below: rows of ``features`` that only lend their sight to the depthwise layers."""
        x = self.residual(self.enter(features))
        x = x[:, :, above : x.shape[2] - below]
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

    def forward(self, features: Tensor, block: int, above: int = 0, below: int = 0) -> tuple[Tensor, Tensor]:
        """features: (B, 4M, above + h + below, w), the rows above and below known but not asked for."""
        low, high = self.slices[block]
        weight, bias = (  # only the block's slice of H is computed
            torch.cat([t[low:high], t[self.M + low : self.M + high]])
            for t in (self.head.weight, cast(Tensor, self.head.bias))
        )
        asked = features[:, :, above : features.shape[2] - below]
        out = F.conv2d(self.shared(asked), weight, bias)
        if block and self.delta is not None:
            out = out + self.delta[block - 1](features, above, below)
        log_sigma, mu = out.chunk(2, 1)
        return log_sigma, mu


class BlockCoder(Protocol):
    """What the walk is walked with: likelihoods in training, push in encoding, pop in decoding."""

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor | None:
        """(log_sigma, mu) of a block, (B, size, h, w) each -> y_hat of the block; None while bytes are missing."""
        ...


class EntropyPath(nn.Module):
    """h_s, C, H and f together. In use it runs in float64, one picture at a time; in training in float32."""

    def __init__(self, h_s: nn.Module, context: ContextAttention, parameters_net: EntropyParameters):
        super().__init__()
        self.h_s, self.context, self.parameters_net = h_s, context, parameters_net

    def walk(self, z_hat: Tensor, coder: BlockCoder, levels: int | None = None) -> Tensor:
        """All of ``steps``, where nothing is missing: y_hat (B, M, h, w), zero from block ``levels`` on."""
        *_, y_hat = self.steps(z_hat, coder, levels)
        return y_hat

    def steps(self, z_hat: Tensor, coder: BlockCoder, levels: int | None = None) -> Iterator[Tensor]:
        """Walk the blocks in order with ``coder``; yields y_hat (B, M, h, w), zero in blocks not walked yet.

        This is the only loop over blocks there is: training, encoding and decoding differ in ``coder`` alone. It
        yields after each block, and where the coder waits for bytes: ask for the next step once more have come.
        z_hat: (B, N_hyper, h/4, w/4). levels: how many blocks to walk; all if None.
        """
        P = self.h_s(z_hat)
        y_hat = P.new_zeros(P.shape[0], self.parameters_net.M, *P.shape[2:])
        for block, (low, high) in enumerate(self.parameters_net.slices[:levels]):
            log_sigma, mu = self._log_sigma_and_mu(P, y_hat, block)
            while (part := coder.code_block(block, log_sigma, mu)) is None:
                yield y_hat
            y_hat = torch.cat([y_hat[:, :low], part, y_hat[:, high:]], 1)
            yield y_hat

    def _log_sigma_and_mu(self, P: Tensor, y_hat: Tensor, block: int) -> tuple[Tensor, Tensor]:
        """Eq. 4 to 7 in strips of rows, of which only large maps have more than one: memory stays bounded."""
        height, width = P.shape[2:]
        rows = max(1, STRIP_PLACES // (width * DeltaNetwork.window)) * DeltaNetwork.window
        strips = [self._strip(P, y_hat, block, top, min(top + rows, height)) for top in range(0, height, rows)]
        if len(strips) == 1:
            return strips[0]
        log_sigma, mu = (torch.cat(parts, 2) for parts in zip(*strips, strict=True))
        return log_sigma, mu

    def _strip(self, P: Tensor, y_hat: Tensor, block: int, top: int, bottom: int) -> tuple[Tensor, Tensor]:
        """(log_sigma, mu) of rows top to bottom; f sees two rows further, and C two beyond those."""
        height, reach = P.shape[2], DeltaNetwork.reach
        above, below = min(reach, top), min(reach, height - bottom)
        known = P[:, :, top - above : bottom + below]
        # channels of this block and later ones are still zero: the prefix mask of Eq. 3
        if block:
            first, last = max(0, top - above - KERNEL // 2), min(height, bottom + below + KERNEL // 2)
            C = self.context(y_hat[:, :, first:last])[:, :, top - above - first :][:, :, : known.shape[2]]
        else:  # before the first block there is one constant
            C = self.context(y_hat[:1, :, :1, :1]).expand(*P.shape[:2], *known.shape[2:])
        return self.parameters_net(torch.cat([known, C], 1), block, above, below)
