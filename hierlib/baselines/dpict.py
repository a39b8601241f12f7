"""DPICT: deep progressive image compression using trit planes (Lee, Jeon, Choi, Park, Kim; CVPR 2022, 2112.06334).

    z -> sigma, mu of every element                         a hyperprior alone: our backbone with one block
    l_e = max(1, ceil(log3(2 kappa sigma_e))) trits         kappa = -Phi^-1(10^-9 / 2), the reach of our tables' rows
    plane by plane, the most significant first              right-aligned: the last plane holds every element
    inside a plane, by dD / dR of the next trit             D: variance of the interval, R: entropy of the trit
    at any cut, y_hat_e = mu_e + E[v | the trits received]

Where ours differs from the paper's code, for a file that may be cut at any byte and read on any machine:
* probabilities, means and priorities are integers, sums over the codec's integer tables, and ties go by a fixed table;
  the paper's are floats of erfc, sorted by an unstable sort;
* dD / dR orders every plane, not the last six: earlier ones have few elements;
* outliers are escaped, not clamped, so no plane is dropped when only one element has the most trits;
* one range coder and one container, not a file a chunk; no post-processing networks (they are separate networks for
  two rates, trained on stored pictures): report it when you compare low rates with the paper.
"""

from __future__ import annotations

import numpy as np

from ..codec.tables import Tables
from .intervals import digits
from .trits import TritPlanes


class DPICT(TritPlanes):
    """Trit planes, the most distortion for a bit first."""

    method = "dpict"
    by_gain = True

    def starts(self, gaussians: Tables) -> np.ndarray:
        return digits(gaussians) - 1
