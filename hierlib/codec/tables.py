"""Integer probability tables: 64 Gaussians for y, one learned prior a channel for z. They travel with the weights.

The scale of a symbol is an integer index, computed from log sigma and clamped as an integer: a clamped float is never
compared with the edge of a table.
"""

from __future__ import annotations

import math

import numpy as np

from .rangecoder import TOTAL, Tables

SCALES = 64
LOG_SIGMA_MIN = math.log(0.11)
LOG_SIGMA_STEP = (math.log(256) - LOG_SIGMA_MIN) / (SCALES - 1)
TAIL = 1e-9  # mass outside a row, which the escape takes


def scale_position(log_sigma: np.ndarray) -> np.ndarray:
    """Where log sigma lies on the table, in entries, before rounding up: float64. NaN counts as the smallest."""
    return np.nan_to_num((log_sigma - LOG_SIGMA_MIN) / LOG_SIGMA_STEP, nan=0.0)


def scale_index(position: np.ndarray) -> np.ndarray:
    """The first entry that is at least sigma, as an integer in 0 .. 63."""
    return np.clip(np.ceil(position), 0, SCALES - 1).astype(np.int64)


def quantised(mass: np.ndarray) -> np.ndarray:
    """Probabilities -> integer frequencies, each at least 1, that sum to 2^16."""
    mass = np.asarray(mass, dtype=np.float64)
    frequency = np.floor(mass / mass.sum() * (TOTAL - len(mass))).astype(np.int64) + 1
    frequency[frequency.argmax()] += TOTAL - frequency.sum()
    return frequency


def gaussian_rows() -> tuple[list[np.ndarray], np.ndarray]:
    """Frequencies and lowest values of the 64 zero-mean Gaussians integrated over unit bins, escape last."""
    from scipy.special import ndtr, ndtri

    rows, lows = [], []
    for entry in range(SCALES):
        sigma = math.exp(LOG_SIGMA_MIN + entry * LOG_SIGMA_STEP)
        reach = math.ceil(-ndtri(TAIL / 2) * sigma)
        values = np.arange(-reach, reach + 1)
        mass = ndtr((0.5 - np.abs(values)) / sigma) - ndtr((-0.5 - np.abs(values)) / sigma)
        rows.append(quantised(np.append(mass, TAIL)))
        lows.append(-reach)
    return rows, np.array(lows)


def packed(rows: list[np.ndarray], lows: np.ndarray) -> dict[str, np.ndarray]:
    """What a weights file stores of a set of rows: int32 vectors ``frequencies``, ``lengths``, ``lows``."""
    return {
        "frequencies": np.concatenate(rows).astype(np.int32),
        "lengths": np.array([len(r) for r in rows], dtype=np.int32),
        "lows": lows.astype(np.int32),
    }


def unpacked(stored: dict[str, np.ndarray]) -> Tables:
    """The inverse of ``packed``. Raises ValueError if the rows are no frequencies."""
    ends = np.cumsum(stored["lengths"])
    return Tables([row.astype(np.int64) for row in np.split(stored["frequencies"], ends[:-1])], stored["lows"])
