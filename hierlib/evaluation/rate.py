"""Bytes and distortion of real files: what a viewer with 8 bits a channel would measure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

PSNR_MAX_DB = 100.0  # of two equal pictures, whose PSNR is infinite: a mean must stay a number
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11


def bpp(n_bytes: int, height: int, width: int) -> float:
    """Bits per pixel of a file of ``n_bytes``, every byte counted."""
    return 8 * n_bytes / (height * width)


def rounded(images: Tensor) -> Tensor:
    """Floats in [0, 1] -> the nearest 8-bit values, still floats in [0, 1]."""
    return (images.clamp(0, 1) * 255).round() / 255


def psnr_db(a: Tensor, b: Tensor) -> Tensor:
    """(B, 3, H, W) twice, in [0, 1] -> (B,) float64 dB after rounding to 8 bits; PSNR_MAX_DB for equal pictures."""
    mse = (rounded(a).double() - rounded(b).double()).square().mean((1, 2, 3))
    return (-10 * mse.log10()).clamp(max=PSNR_MAX_DB)


def ms_ssim_scales(height: int, width: int) -> int:
    """How many of the five scales fit: each but the last halves the sides, and the window has 11 pixels.

    >>> [ms_ssim_scales(side, side) for side in (8, 21, 64, 160, 161, 224)]
    [1, 2, 3, 4, 5, 5]
    """
    side = min(height, width)
    return max(1, min(5, 1 + int(math.log2(max(1, side - 1) / (WINDOW - 1))) if side > WINDOW else 1))


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """(B, 3, H, W) twice, in [0, 1] -> (B,) MS-SSIM after rounding to 8 bits.

    From 161 pixels on it is pytorch-msssim's ``ms_ssim``, the one CompressAI reports. Smaller pictures have room for
    ``ms_ssim_scales`` of the five scales: the weights of those, made to sum to 1; below 11 pixels a smaller window.
    Values of pictures of different numbers of scales do not compare.
    """
    from pytorch_msssim import ms_ssim as library

    a, b = rounded(a).float() * 255, rounded(b).float() * 255
    scales = ms_ssim_scales(*a.shape[-2:])
    return library(a, b, data_range=255, size_average=False) if scales == 5 else _on_scales(a, b, scales)


def _on_scales(a: Tensor, b: Tensor, scales: int) -> Tensor:
    """MS-SSIM on fewer scales than the library insists on, from the library's own single-scale terms."""
    import torch
    import torch.nn.functional as F
    from pytorch_msssim.ssim import _fspecial_gauss_1d, _ssim

    weights = [weight / sum(MS_SSIM_WEIGHTS[:scales]) for weight in MS_SSIM_WEIGHTS[:scales]]
    window = min(WINDOW, (min(a.shape[-2:]) - 1) // 2 * 2 + 1)
    kernel = _fspecial_gauss_1d(window, 1.5).repeat(3, 1, 1, 1)
    value = torch.ones(a.shape[:2])
    for scale, weight in enumerate(weights, 1):
        ssim, contrast = _ssim(a, b, data_range=255, win=kernel, size_average=False)
        value = value * torch.relu(ssim if scale == scales else contrast) ** weight
        if scale < scales:
            a, b = (F.avg_pool2d(x, 2, padding=[side % 2 for side in x.shape[2:]]) for x in (a, b))
    return value.mean(1)


def estimation_gap(estimated_bits: float, real_bytes: int) -> float:
    """How much longer the real file is than its estimate, relative to the estimate: 0.01 is one per cent."""
    if not estimated_bits > 0:
        raise ValueError(f"an estimate of {estimated_bits} bits has no gap")
    return (8 * real_bytes - estimated_bits) / estimated_bits
