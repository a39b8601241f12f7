"""Integer probability tables: 64 Gaussians for y, one learned prior a channel for z. They travel with the weights.

The scale of a symbol is an integer index, computed from log sigma and clamped as an integer: a clamped float is never
compared with the edge of a table.
"""

from __future__ import annotations

import math

import numpy as np

TOTAL = 1 << 16  # what a row of frequencies sums to
SCALES = 64
LOG_SIGMA_MIN = math.log(0.11)
LOG_SIGMA_STEP = (math.log(256) - LOG_SIGMA_MIN) / (SCALES - 1)
TAIL = 1e-9  # mass outside a row, which the escape takes


class Tables:
    """Rows of cumulative frequencies for integer values, each ending in an escape.

    frequencies: per row the frequencies of lows[row], lows[row] + 1, ... and of the escape; each sums to 2^16.
    """

    def __init__(self, frequencies: list[np.ndarray], lows: np.ndarray):
        lengths, flat = np.array([len(row) for row in frequencies]), np.concatenate(frequencies).astype(np.int64)
        starts = np.cumsum(lengths) - lengths
        if lengths.min() < 2 or flat.min() < 1 or (np.add.reduceat(flat, starts) != TOTAL).any():
            raise ValueError("a row of frequencies is positive, ends in an escape and sums to 65536")
        self.begins = np.concatenate([[0], np.cumsum(lengths + 1)])
        sums = np.cumsum(flat) - TOTAL * np.repeat(np.arange(len(lengths)), lengths)
        self.cumulative = np.insert(sums, starts, 0)  # each row begins with a zero
        self.lows = np.asarray(lows, dtype=np.int64)

    def ideal_bits(self, values: np.ndarray, rows: np.ndarray) -> float:
        """Ideal code length of ``values`` under these integer frequencies, escapes with their plain bits."""
        return float(self.bits_of(values, rows).sum())

    def bits_of(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Of each of the values its part of ``ideal_bits``. The two arrays may be of any shapes that fit each other."""
        values, rows = np.asarray(values, dtype=np.int64), np.asarray(rows, dtype=np.int64)
        begins, escapes = self.begins[rows], self.begins[rows + 1] - self.begins[rows] - 2
        symbols = values - self.lows[rows]
        outside = (symbols < 0) | (symbols >= escapes)
        at = begins + np.where(outside, escapes, symbols)
        bits = -np.log2((self.cumulative[at + 1] - self.cumulative[at]) / TOTAL)
        folded = np.where(symbols < 0, 2 * (-1 - symbols) + 1, 2 * (symbols - escapes))[outside]
        bits[outside] += 2 * np.floor(np.log2(folded + 1)) + 1
        return bits


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
