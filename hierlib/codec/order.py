"""The order of symbols inside a block: by scale index, largest first; ties by a fixed, spatially spread table.

Most symbols of a block share the smallest index. Their order decides what a cut in the tail looks like, so it goes
channel by channel over places in bit-reversed Morton order: any prefix of it covers the picture evenly.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=32)
def spread(height: int, width: int) -> np.ndarray:
    """(height * width,) raster positions, in an order of which every prefix is spread over the map."""
    bits = max(1, (max(height, width) - 1).bit_length())
    rows, cols = np.divmod(np.arange(height * width), width)
    key = np.zeros(height * width, dtype=np.int64)
    for bit in range(bits):  # low bits of the place become high bits of the key: bit reversal and interleaving at once
        key = (key << 2) | ((rows >> bit & 1) ^ (cols >> bit & 1)) << 1 | (rows >> bit & 1)
    return np.argsort(key, kind="stable")


def coding_order(index: np.ndarray) -> np.ndarray:
    """(C, h, w) integer scale indices -> (C * h * w,) flat positions in the order in which they are coded."""
    channels, height, width = index.shape
    places = spread(height, width)
    ties = (np.arange(channels)[:, None] * (height * width) + places[None, :]).ravel()
    return ties[np.argsort(-index.ravel()[ties], kind="stable")]
