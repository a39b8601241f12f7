"""How the networks are run in training: g_a, g_s and the classifiers in bf16 on a GPU, the entropy path never."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..classifiers.small import channels_last
from ..codec.network import HierNetwork

if TYPE_CHECKING:
    from ..classifiers import Classifier
    from .features import Features


class TrainingView:
    """A network as the walk and the loss see it: the same modules, other arithmetic around them.

    bf16: g_a, g_s and classifiers under autocast, results in float32. h_a and everything from z to (sigma, mu) and the
    likelihoods stay in float32: their errors would be bits. compiled: g_a, g_s and classifiers through torch.compile,
    once for each size of batch.
    """

    def __init__(self, network: HierNetwork, *, bf16: bool = False, compiled: bool = False):
        self.network, self.bf16 = network, bf16
        wrap: Callable[[Any], Any] = partial(torch.compile, dynamic=False) if compiled else lambda function: function
        self._analyse, self._synthesise = wrap(network.analyse), wrap(network.synthesise)
        self._ask = wrap(lambda classifier, images: classifier(images))
        self._lost = wrap(lambda features, images, x_hat: features.lost(images, x_hat))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)  # all else is the network's own

    def analyse(self, x: Tensor) -> Tensor:
        with self._cast(x):
            return self._analyse(x).float()

    def synthesise(self, y_hat: Tensor) -> Tensor:
        with self._cast(y_hat):
            return self._synthesise(y_hat).float()

    def ask(self, classifier: Classifier, images: Tensor) -> Tensor:
        """Logits in float32."""
        with self._cast(images):
            return self._ask(classifier, images).float()

    def lost(self, features: Features, images: Tensor, x_hat: Tensor) -> Tensor:
        """What ``x_hat`` lost of ``features``, in float32."""
        with self._cast(images):
            return self._lost(features, images, x_hat).float()

    def _cast(self, like: Tensor) -> torch.autocast:
        return torch.autocast(like.device.type, torch.bfloat16, enabled=self.bf16)


def prepare(network: HierNetwork, *, fast_layout: bool) -> None:
    """channels_last for the convolutions of g_a and g_s, in place, where asked for."""
    if fast_layout:
        channels_last(network.g_a)
        channels_last(network.g_s)


def hold_at_zero(network: HierNetwork) -> None:
    """No context: C is zero for good, in a network of the usual shape, which anyone can load and decode with."""
    context = network.entropy.context.requires_grad_(False)
    with torch.no_grad():
        context.out.weight.zero_()
        context.out.bias.zero_()
