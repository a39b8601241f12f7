"""Untrained peers whose networks are their own, with realistic spread, exported and loaded as any weights file is."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch

from hierlib import baselines
from hierlib.baselines.lessons import Lessons
from hierlib.codec import weights
from hierlib.codec.config import MICRO
from hierlib.codec.model import HierCodec
from hierlib.codec.network import HierNetwork
from hierlib.images.shapes import shapes

BLOCKS = {"progdtd": (14, 28, 42, 56), "efficientpic": (28, 56), "deephq": (56,), "limitnet": (12,)}
PRIORS = {"limitnet": 13}  # of z; MICRO's where it is not said


@lru_cache(maxsize=8)
def untrained(method: str, seed: int = 0) -> tuple[HierNetwork, Lessons]:
    """Networks and likelihoods; leave them as they are."""
    torch.manual_seed(seed)
    make = baselines.methods()[method]
    config = replace(MICRO, blocks=BLOCKS[method], delta_dim=0, N_hyper=PRIORS.get(method, MICRO.N_hyper))
    network, lessons = make.networks(config), make.lessons(config.N_hyper)
    network.start_from(shapes(60, seed=seed).batch(range(60)))
    with torch.no_grad():  # spread log sigma: an untrained head is nearly flat, and y wider than it says
        if method == "deephq":  # and masks that leave something out at every level
            network.entropy.ladder.scale.uniform_(0.7, 1.4)
            network.entropy.importance[-1].weight.normal_(0, 1.5)
            network.entropy.ladder.fall.add_(1.5)
        if method in ("progdtd", "deephq"):
            network.entropy.parameters_net.head.weight.mul_(6)
            network.entropy.parameters_net.head.bias[: config.M].add_(1.5)
        elif method == "limitnet":
            network.h_a.leave.weight.normal_(0, 1.0)  # it starts at zero: all places alike
        else:
            network.entropy.rem.leave.weight.normal_(0, 0.05)
            for each in (*network.entropy.base, *network.entropy.top):
                each[-1].weight.mul_(6)
                each[-1].bias[: len(each[-1].bias) // 2].add_(1.5)
    return network.eval(), lessons.eval()


@lru_cache(maxsize=8)
def exported(method: str, seed: int = 0) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors and description that a weights file would hold."""
    network, lessons = untrained(method, seed)
    about = {"config": network.config.to_json(), "name": f"{method}{seed}", "method": method}
    return weights.export(network, lessons), about


def peer_codec(method: str, seed: int = 0) -> HierCodec:
    """A codec of them; another seed is another model."""
    tensors, about = exported(method, seed)
    return weights.assemble(tensors, about, about["name"], baselines.methods()[method])
