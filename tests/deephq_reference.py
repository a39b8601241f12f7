"""The symbols of DeepHQ, read as FORMAT.md's section 9 says and nothing else: plain integers, slow."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import format_reference as reference
import numpy as np
import torch
from format_reference import Missing, RangeDecoder
from scipy.stats import norm

from hierlib.baselines.deephq import DeepHQNetwork
from hierlib.codec.config import CodecConfig

L, D, LIMIT = 8, 512, 2**22 - 1
BASES = (12, 8.5, 6, 4.25, 3, 2, 1.5, 1)
SIGMA = [0.11 * math.exp(max(i - 0.5, 0) * reference.STEP) for i in range(64)]
SLOPE = [round(2**25 / sigma) for sigma in SIGMA]


@lru_cache(1)
def T() -> list[int]:
    """By the series of the integral, in 70 digits."""
    with localcontext() as context:
        context.prec = 70
        sums = []
        for c in range(8 * D + 1):
            x = Decimal(c) / D
            term = total = x
            n = 0
            while term and abs(term) > Decimal(10) ** -30:
                n += 1
                term *= -x * x / (2 * n)
                total += term / (2 * n + 1)
            sums.append(total)
        return [int(2**39 * each / sums[-1]) for each in sums]


def G(i: int, x: int) -> int:
    at = min(abs(x) * SLOPE[i], 8 * D << 24)
    c, inside = min(at >> 24, 8 * D - 1), at
    inside -= c << 24
    mass = T()[c] + ((T()[c + 1] - T()[c]) * inside >> 24)
    return mass if x > 0 else -mass


def row(i: int, edges: list[int]) -> list[int]:
    n = len(edges) - 1
    mass = [G(i, e) - G(i, edges[0]) + e - edges[0] for e in edges]
    return [*(k + m * (65535 - n) // mass[-1] for k, m in enumerate(mass)), 65536]


def decode(data: bytes, tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> tuple[list[int], np.ndarray | None]:
    """Of a stream: its symbols that are settled, and y_hat, None before the block is begun."""
    read = reference.header(data)
    if read is None:
        return [], None
    height, width, at, _ = read
    network = DeepHQNetwork(CodecConfig.from_json(about["config"]))
    network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
    path = network.double().eval().entropy
    rows, columns = reference.z_map((height, width))
    coder = RangeDecoder(data[at:])
    table_z = reference.table({k: v.numpy() for k, v in tensors.items()}, "z")
    symbols: list[int] = []
    try:
        z = [reference.value(coder, low, one) for low, one in table_z for _ in range(rows * columns)]
        q_z = torch.tensor(z, dtype=torch.float64).view(len(table_z), rows, columns)
        with torch.no_grad():
            P = path.h_s((q_z + tensors["tables.medians"].double()[:, None, None])[None])
            C = path.context(torch.zeros(1, P.shape[1] // 2, 1, 1, dtype=torch.float64)).expand_as(P)
            log_sigma, mu = path.parameters_net(torch.cat([P, C], 1), 0)
            g = path.importance(P)[0].numpy()
        index, grid = reference.integers(log_sigma[0].numpy(), mu[0].numpy())
        fall, scale = (tensors[f"network.entropy.ladder.{name}"].double().numpy() for name in ("fall", "scale"))
        gamma = [np.log1p(np.exp(fall[level:])).sum(0) for level in range(L)]
        entry = sum((g < -np.log(2 ** (1 / each) - 1)[:, None, None]).astype(int) for each in gamma)
        s = [2 * np.rint(128 * np.clip(scale[l] * BASES[l], 0.25, 128)).astype(int) for l in range(L)]  # noqa: E741
        assert coder.symbol(reference.EXCEPTIONS) == 0
        assert coder.bits(8) == reference.crc(0, [height, width], z, index + 64 * entry, grid) & 255
    except Missing:
        return symbols, None
    order = reference.coding_order(index, reference.spread(4 * rows, 4 * columns)).tolist()
    scales, entries, places = index.ravel().tolist(), entry.ravel().tolist(), 16 * rows * columns
    entries[order[0]] = min(entries[order[0]], L - 1)
    interval: dict[int, tuple[int, int]] = {}
    try:
        for level in range(L):
            for e in order:
                if entries[e] > level:
                    continue
                step, i = int(s[level][e // places]), scales[e]
                if e not in interval:
                    K = (6 * D << 24) // SLOPE[i] // step + 1
                    edges = [k * step - step // 2 for k in range(-K, K + 2)]
                    symbols.append(k := reference.value(coder, -K, row(i, edges)))
                    interval[e] = k * step - step // 2, k * step + step // 2
                else:
                    a, b = interval[e]
                    n = 2 * ((b - a) // (2 * step)) + 1 if a <= 0 < b else max(1, (2 * (b - a) + step) // (2 * step))
                    edges = [a + k * (b - a) // n for k in range(n + 1)]
                    symbols.append(k := reference.value(coder, 0, row(i, edges)))
                    interval[e] = edges[k], edges[k + 1]
    except Missing:
        pass
    y_hat = grid.ravel() / 256
    for e, (a, b) in interval.items():
        sigma = 256 * SIGMA[scales[e]]
        low, high = (a / sigma, b / sigma) if a + b <= 0 else (-b / sigma, -a / sigma)  # the accurate tail
        mean = (norm.pdf(low) - norm.pdf(high)) / (norm.cdf(high) - norm.cdf(low)) * sigma
        y_hat[e] += (mean if a + b <= 0 else -mean) / 256
    return symbols, y_hat.reshape(grid.shape)
