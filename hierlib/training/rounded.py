"""The rate of rounded values, in place of CompressAI's noisy ones: one of the recipe's switches."""

from __future__ import annotations

from compressai.entropy_models import GaussianConditional
from torch import Tensor

from ..codec.likelihood import round_through


class RoundedGaussian(GaussianConditional):
    """The rate of what is really sent: likelihoods of rounded values, whose gradient passes straight through.

    CompressAI's takes noisy values in training, which is smoother, and dearer by some percent than the rounded ones.
    """

    def forward(
        self, inputs: Tensor, scales: Tensor, means: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        centred = inputs if means is None else inputs - means
        rounded = round_through(centred)
        likelihood = self._likelihood(rounded, scales)
        if self.use_likelihood_bound:
            likelihood = self.likelihood_lower_bound(likelihood)
        return (rounded if means is None else rounded + means), likelihood
