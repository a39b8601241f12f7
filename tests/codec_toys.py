"""An untrained codec with realistic spread: random nets, PCA start, exported and loaded as any weights file is."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch

from hierlib.codec import weights
from hierlib.codec.config import MICRO
from hierlib.codec.likelihood import Likelihoods
from hierlib.codec.model import HierCodec
from hierlib.codec.network import HierNetwork
from hierlib.images.shapes import shapes


@lru_cache(maxsize=4)
def exported(seed: int = 0, blocks: tuple[int, ...] = (24, 40, 56)) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors and description that a weights file would hold."""
    torch.manual_seed(seed)
    config = replace(MICRO, blocks=blocks)
    network, likelihoods = HierNetwork(config), Likelihoods(config.N_hyper)
    network.start_from(shapes(60, seed=seed).batch(range(60)), step=64.0)
    with torch.no_grad():  # wake the Delta-networks and spread log sigma: an untrained head is nearly flat
        for delta in network.entropy.parameters_net.delta:
            delta.leave.weight.normal_(0, 0.3)
        network.entropy.parameters_net.head.weight.mul_(6)
    return weights.export(network, likelihoods), {"config": config.to_json(), "name": f"toy{seed}"}


def toy_codec(seed: int = 0, blocks: tuple[int, ...] = (24, 40, 56)) -> HierCodec:
    """A codec of three small blocks; another seed is another model."""
    tensors, about = exported(seed, blocks)
    return weights.assemble(tensors, about, about["name"])
