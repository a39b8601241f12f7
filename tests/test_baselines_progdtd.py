"""ProgDTD: z and y in turns, against h_s asked directly; what a tail costs and shows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from peer_toys import peer_codec, untrained

from hierlib.baselines.progdtd import ProgDTD, hyper_slices, kept
from hierlib.codec.coders import MU_GRID
from hierlib.codec.tables import LOG_SIGMA_MIN, LOG_SIGMA_STEP
from hierlib.images.shapes import shapes

GROUPS = [(0, 14), (14, 28), (28, 42), (42, 56)]
HYPER = [(0, 4), (4, 8), (8, 12), (12, 16)]


@pytest.fixture(scope="module")
def codec() -> ProgDTD:
    found = peer_codec("progdtd")
    assert isinstance(found, ProgDTD)
    return found


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return shapes(3, seed=5)[1]


def latents(codec: ProgDTD, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    y = codec.network.analyse(image[None])
    return y, torch.round(codec.network.h_a(y).double() - codec.medians[:, None, None])


@torch.no_grad()
def test_scales_of_a_group_are_those_of_the_hyper_latent_cut_behind_it(codec: ProgDTD, image: torch.Tensor) -> None:
    """By h_s and H themselves, without the walk: z is zeroed about its medians behind the group."""
    path = codec.network.entropy
    assert hyper_slices(codec.network.config) == HYPER
    _, q_z = latents(codec, image)
    received = codec.decoder().feed(codec.encode(image)).blocks
    constant = path.context(torch.zeros(1, 56, 1, 1, dtype=torch.float64)).expand(1, 112, 4, 4)
    whole = []
    for group, ((low, high), (_, heard)) in enumerate(zip(GROUPS, HYPER)):
        for until in (heard, 16):
            cut = q_z.clone()
            cut[:, until:] = 0
            P = path.h_s(cut + codec.medians[:, None, None])
            out = path.parameters_net.head(path.parameters_net.shared(torch.cat([P, constant], 1)))[0]
            index = np.ceil((out[low:high].numpy() - LOG_SIGMA_MIN) / LOG_SIGMA_STEP).clip(0, 63)
            mu = np.rint(out[56 + low : 56 + high].numpy() * MU_GRID)
            same = np.array_equal(index, received[group].index) and np.array_equal(mu, received[group].mu)
            if until == heard:
                assert same
        whole.append(same)
    assert whole == [False, False, False, True]  # h_s of all of z, as published, says something else of the first ones


def test_what_comes_later_changes_nothing_before_it(codec: ProgDTD, image: torch.Tensor) -> None:
    """The published stream for another p is another from its first symbol on. Here later channels are only later."""
    one = copy.copy(codec)
    one.network = copy.deepcopy(codec.network)
    one.network.h_a[0].weight[:, 28:] = 0  # so that the first half of z does not know the second half of y
    two = copy.copy(codec)
    two.network = copy.deepcopy(one.network)
    two.network.linear.forward_conv.weight[28:] *= -3  # another tail of y ...
    two.network.h_a[-1].weight[8:] *= -3  # ... and of z
    mine, theirs = (each.decoder().feed(each.encode(image)) for each in (one, two))
    for group in range(2):
        for field in ("index", "mu", "q", "needed_bytes"):
            assert np.array_equal(getattr(mine.blocks[group], field), getattr(theirs.blocks[group], field))
    assert not np.array_equal(mine.blocks[2].q, theirs.blocks[2].q)


def test_missing_channels_are_zero_and_channels_come_in_order(codec: ProgDTD, image: torch.Tensor) -> None:
    stream = codec.encode(image)
    whole = np.concatenate([block.values() for block in codec.decoder().feed(stream).blocks])
    for cut in np.linspace(1, len(stream), 12).astype(int):
        part = codec.decoder().feed(stream[:cut])
        y_hat = np.concatenate([*(block.values() for block in part.blocks), np.zeros((56, 4, 4))])[:56]
        there = np.zeros(whole.size, dtype=bool)
        for (low, _), block in zip(GROUPS, part.blocks):
            there[low * 16 + block.order[: len(block.q)]] = True
        there = there.reshape(whole.shape)
        assert np.array_equal(y_hat, np.where(there, whole, 0))
        counts = there.sum((1, 2))  # of each channel: full ones, at most one begun in a group, then empty ones
        assert (np.diff(counts) <= 0).all()
        assert ((counts > 0) & (counts < 16)).sum() <= 1


def test_a_picture_keeps_what_it_draws_and_z_in_whole_groups() -> None:
    """By hand: 1, 14, 15 and 56 channels of 56 in groups of 14; z has 4 channels a group."""
    config = untrained("progdtd")[0].config
    kept_y, kept_z = kept(config, torch.tensor([[1], [14], [15], [56]]))
    assert kept_y.sum(1).tolist() == [1, 14, 15, 56]
    assert kept_z.sum(1).tolist() == [4, 4, 8, 16]
    assert kept_y[2, :15].all()
    assert kept_z[2, :8].all()


def test_training_drops_both_tails(image: torch.Tensor) -> None:
    """20 channels are kept: what lies behind them, and behind the two groups of z they need, has no gradient."""
    network, lessons = (copy.deepcopy(each) for each in untrained("progdtd"))
    with torch.no_grad():
        network.h_a[0].weight[:, 20:] = 0  # else the kept part of z knows the tail of y
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda *size, **_: torch.full(size, 19.5 / 56))
        shown = lessons.shown(network, image[None], 0)[0]
    (shown.bits.sum() + shown.x_hat.square().sum()).backward()
    of_y = network.linear.forward_conv.weight.grad.abs().sum((1, 2, 3))
    of_z = network.h_a[-1].weight.grad.abs().sum((1, 2, 3))
    assert (of_y[:20] > 0).all()
    assert (of_y[20:] == 0).all()
    assert (of_z[:8] > 0).any()
    assert (of_z[8:] == 0).all()
