"""TIC's transforms (Lu et al., DCC 2022, arXiv 2111.06707): strided convolutions and residual Swin stages, no GDN.

    x --g_a--> y (/16) --h_a--> z (/64)        z_hat --h_s--> P (/16)        y_hat --g_s--> x_hat

Differences from TIC, each a field of the recipe: widths may differ by stage; a *linear path* (a 16x16 patch transform
and its transpose) may run beside g_a and g_s, so that a small model starts from a PCA codec, not from noise. Windows
shrink to maps smaller than themselves and odd maps are padded inside, so any multiple of 64 pixels works (TIC: 128).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE_Y, STRIDE_Z = 16, 64
Made = TypeVar("Made", bound=Callable[..., Any])


def kept(make: Made) -> Made:
    """Keep what depends on sizes alone, on the device where it is used: a copy from the processor at each call would
    hold a GPU up. Made outside inference mode: training may use it too, whoever asks first.
    """
    return cast(Made, lru_cache(maxsize=64)(torch.inference_mode(False)(make)))


def conv(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 2) -> nn.Conv2d:
    """TIC's convolution: padding k // 2."""
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2)


def deconv(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 2) -> nn.ConvTranspose2d:
    """TIC's transposed convolution: the inverse of ``conv`` in shape."""
    return nn.ConvTranspose2d(channels_in, channels_out, kernel, stride, kernel // 2, output_padding=stride - 1)


@kept
def _window_mask(
    height: int, width: int, window: tuple[int, int], shift: tuple[int, int], device: torch.device
) -> Tensor | None:
    """(windows, T, T) bool, True where attention is allowed: same region of the rolled, padded map; None if all is."""
    (wh, ww), (sh, sw) = window, shift
    padded_h, padded_w = -(-height // wh) * wh, -(-width // ww) * ww
    if (padded_h, padded_w) == (height, width) and shift == (0, 0):
        return None
    rows = torch.arange(padded_h).add(sh).remainder(padded_h)  # where each place of the rolled map came from
    cols = torch.arange(padded_w).add(sw).remainder(padded_w)
    row_region = (rows < sh).long() + 2 * (rows >= height).long()
    col_region = (cols < sw).long() + 2 * (cols >= width).long()
    region = row_region[:, None] * 4 + col_region[None, :]
    cut = region.view(padded_h // wh, wh, padded_w // ww, ww).permute(0, 2, 1, 3).reshape(-1, wh * ww)
    return (cut[:, :, None] == cut[:, None, :]).to(device)


@kept
def _relative_index(window: tuple[int, int], largest: int, device: torch.device) -> Tensor:
    """(T, T) index into a (2 * largest - 1)^2 table of relative positions, for a window no larger than ``largest``."""
    rows, cols = (g.flatten() for g in torch.meshgrid(torch.arange(window[0]), torch.arange(window[1]), indexing="ij"))
    down, right = rows[:, None] - rows[None, :] + largest - 1, cols[:, None] - cols[None, :] + largest - 1
    return (down * (2 * largest - 1) + right).to(device)


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows with a learned relative-position bias. (B, H, W, D) -> the same."""

    def __init__(self, dim: int, heads: int, window: int, shifted: bool):
        super().__init__()
        self.heads, self.window, self.shifted = heads, window, shifted
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.position = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        wh, ww = min(self.window, height), min(self.window, width)
        sh, sw = (wh // 2 if self.shifted and height > wh else 0), (ww // 2 if self.shifted and width > ww else 0)
        mask = _window_mask(height, width, (wh, ww), (sh, sw), x.device)
        x = F.pad(x, (0, 0, 0, -width % ww, 0, -height % wh))
        if sh or sw:
            x = x.roll((-sh, -sw), (1, 2))
        rows, cols, tokens = x.shape[1] // wh, x.shape[2] // ww, wh * ww
        x = x.view(batch, rows, wh, cols, ww, dim).permute(0, 1, 3, 2, 4, 5).reshape(batch * rows * cols, tokens, dim)
        q, k, v = self.qkv(x).view(-1, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        index = _relative_index((wh, ww), self.window, x.device)
        bias = self.position[index.flatten()].view(tokens, tokens, self.heads).permute(2, 0, 1)[None]
        if mask is not None:
            blocked = torch.zeros(mask.shape, dtype=x.dtype, device=x.device)
            blocked = blocked.masked_fill(~mask, -100.0)[:, None]
            bias = (bias + blocked).repeat(batch, 1, 1, 1)
        scores = (q * (dim // self.heads) ** -0.5) @ k.transpose(-2, -1) + bias
        x = self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, tokens, dim))
        x = x.view(batch, rows, cols, wh, ww, dim).permute(0, 1, 3, 2, 4, 5).reshape(batch, rows * wh, cols * ww, dim)
        if sh or sw:
            x = x.roll((sh, sw), (1, 2))
        return x[:, :height, :width]


class SwinBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)). (B, H, W, D) -> the same."""

    def __init__(self, dim: int, heads: int, window: int, shifted: bool, ratio: float):
        super().__init__()
        hidden = int(ratio * dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, heads, window, shifted)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class RSTB(nn.Module):
    """Residual Swin transformer stage: x + blocks(x), every second block shifted by half a window. (B, D, H, W)."""

    def __init__(self, dim: int, depth: int, heads: int, window: int, ratio: float):
        super().__init__()
        self.blocks = nn.Sequential(*(SwinBlock(dim, heads, window, i % 2 == 1, ratio) for i in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.blocks(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Shape(nn.Module):
    """What the four transforms are built from; the fields of the recipe of the same names."""

    def __init__(
        self,
        N: tuple[int, int, int],
        M: int,
        N_hyper: int,
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        windows: tuple[int, int],
        ratio: float,
    ):
        super().__init__()
        self.N, self.M, self.N_hyper = N, M, N_hyper
        self.depths, self.heads, self.windows, self.ratio = depths, heads, windows, ratio

    def stage(self, number: int, dim: int) -> nn.Module:
        """RSTB_1 .. RSTB_5 (1-based); a depth of 0 leaves the stage out."""
        depth = self.depths[number - 1]
        if depth == 0:
            return nn.Identity()
        window = self.windows[0] if number <= 3 else self.windows[1]
        return RSTB(dim, depth, self.heads[number - 1], window, self.ratio)


def analysis(s: Shape) -> nn.Sequential:
    """g_a: (B, 3, H, W) -> (B, M, H/16, W/16)."""
    n1, n2, n3 = s.N
    return nn.Sequential(
        conv(3, n1, 5), s.stage(1, n1), conv(n1, n2), s.stage(2, n2), conv(n2, n3), s.stage(3, n3), conv(n3, s.M)
    )  # fmt: skip


def synthesis(s: Shape) -> nn.Sequential:
    """g_s: (B, M, H/16, W/16) -> (B, 3, H, W)."""
    n1, n2, n3 = s.N
    return nn.Sequential(
        deconv(s.M, n3), s.stage(3, n3), deconv(n3, n2), s.stage(2, n2), deconv(n2, n1),
        s.stage(1, n1), deconv(n1, 3, 5),
    )  # fmt: skip


def hyper_analysis(s: Shape) -> nn.Sequential:
    """h_a: (B, M, H/16, W/16) -> (B, N_hyper, H/64, W/64)."""
    n = s.N_hyper
    return nn.Sequential(conv(s.M, n, 3, 1), s.stage(4, n), conv(n, n), s.stage(5, n), conv(n, n))


def hyper_synthesis(s: Shape) -> nn.Sequential:
    """h_s: (B, N_hyper, H/64, W/64) -> P, (B, 2M, H/16, W/16)."""
    n = s.N_hyper
    return nn.Sequential(deconv(n, n), s.stage(5, n), deconv(n, n), s.stage(4, n), conv(n, 2 * s.M, 3, 1))


class LinearPath(nn.Module):
    """The patch transform beside g_a and g_s: 16x16x3 = 768 numbers -> M coefficients, and back. stride: of a patch."""

    def __init__(self, M: int, stride: int = STRIDE_Y):
        super().__init__()
        self.stride = stride
        self.forward_conv = nn.Conv2d(3, M, stride, stride)
        self.inverse_conv = nn.ConvTranspose2d(M, 3, stride, stride)

    @torch.no_grad()
    def start_from_pca(self, pictures: Tensor, blocks: tuple[int, ...], step: float) -> None:
        """Set both convolutions to the principal components of the patches of ``pictures`` (n, 3, H, W) in [0, 1].

        step: quantisation step in 8-bit grey levels that one unit of y stands for. blocks: channel ends, as (64, 112,
        160). The first block gets the strongest tenth of the components, the others are dealt to the blocks in turn,
        strong ones first, so that each block has its share of every fineness. (It once had the strongest tenth and the
        weakest, and a task loss then drew checkerboards with those.)
        """
        patches = F.unfold(pictures - 0.5, self.stride, stride=self.stride).transpose(1, 2).flatten(0, 1)
        mean = patches.mean(0)
        _, vectors = torch.linalg.eigh((patches - mean).double().T @ (patches - mean).double() / len(patches))
        M = self.forward_conv.out_channels
        components = vectors.flip(1)[:, :M].T.float()  # strongest first
        components = components[dealt(blocks, max(1, M // 10))]
        scale = 255 / step
        kernel = components.view(M, 3, self.stride, self.stride)
        self.forward_conv.weight.copy_(kernel * scale)
        self.forward_conv.bias.copy_(-(components @ (mean + 0.5)) * scale)  # type: ignore[union-attr]
        self.inverse_conv.weight.copy_(kernel / scale)
        self.inverse_conv.bias.copy_((mean + 0.5).view(3, -1).mean(1))  # type: ignore[union-attr]

    def analyse(self, x: Tensor) -> Tensor:
        return self.forward_conv(x)

    def synthesise(self, y_hat: Tensor) -> Tensor:
        return self.inverse_conv(y_hat)


def dealt(blocks: tuple[int, ...], strong: int) -> list[int]:
    """Which component, 0 the strongest, each channel starts as: the first ``strong`` in the first block, which has more
    channels than that, the others in turn to the block that has least of the rest of what it holds.

    >>> dealt((4, 6, 8), 2)
    [0, 1, 2, 5, 3, 6, 4, 7]
    """
    room = [high - low for low, high in block_slices(blocks)]
    room[0] -= strong
    rest: list[list[int]] = [[] for _ in room]
    for component in range(strong, blocks[-1]):
        shares = [len(of_block) / size for of_block, size in zip(rest, room, strict=True)]
        rest[shares.index(min(shares))].append(component)
    return [*range(strong), *(component for of_block in rest for component in of_block)]


def block_slices(blocks: tuple[int, ...]) -> list[tuple[int, int]]:
    """(128, 224, 320) -> [(0, 128), (128, 224), (224, 320)]."""
    return list(pairwise((0, *blocks)))


def map_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Places of a map at ``stride`` over a picture whose sides are padded to multiples of the coarsest stride."""
    rows, columns = (-(-side // STRIDE_Z) * (STRIDE_Z // stride) for side in (height, width))
    return rows, columns
