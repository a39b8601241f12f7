"""PLONQ: progressive neural image compression with nested quantization and latent ordering (Lu, Zhu, Yang, Said, Cohen;
ICIP 2021, 2102.02913).

    latent scaling       one network for every step s: q((y - mu) / s) under sigma / s, y_hat = s q + mu. It is trained
                         with a random s and lambda / s^2 (recipes plonq64-*: s from 1 to 9, the field y_step)
    nested quantisation  s = 9, 3, 1: an odd ratio, so that a bin centred on mu splits into three, one of them centred.
                         Level 1 sends the bin of step 9, an unbounded alphabet; levels 2 and 3 which third of it
    latent ordering      between two levels element by element, by the predicted sigma, largest first: known from z
    at any cut           y_hat_e = mu_e + E[v | the bin received]

Step 1 is the network's own; a coarse level is what quantising with that step afresh would give (tested). The paper has
no public code; its text is not explicit on the ladder of steps or on what a cut shows, and both are ours.
"""

from __future__ import annotations

import numpy as np

from ..codec.tables import Tables
from .trits import TritPlanes

STEPS = (9, 3, 1)


class PLONQ(TritPlanes):
    """Three nested steps, the largest sigma first."""

    method = "plonq"

    def starts(self, gaussians: Tables) -> np.ndarray:
        return np.full(len(gaussians.lows), len(STEPS) - 1)
