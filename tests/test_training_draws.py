"""Symbols between two integers: how often which is drawn, and what they cost, by formula and by the coder's tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import hierlib
from hierlib.training.draws import HyperDraws, drawn, gaussian_bits


def test_bits_are_compressais_and_a_far_value_is_pulled_back():
    from compressai.entropy_models import GaussianConditional

    q = torch.arange(-4.0, 5.0).repeat(3, 1)
    log_sigma = torch.tensor([0.2, 1.0, 20.0]).log()[:, None].expand_as(q)
    gaussian = GaussianConditional(None)
    likelihood = gaussian._likelihood(q, log_sigma.exp())
    near = likelihood > 1e-5  # further out CompressAI's, in float32, is rough
    assert near.sum() > 15
    assert gaussian_bits(q.double(), log_sigma.double())[near] == pytest.approx(-likelihood.log2()[near], rel=1e-2)
    far = torch.tensor(30.0, dtype=torch.float64, requires_grad=True)
    bits = gaussian_bits(far, torch.tensor(0.0, dtype=torch.float64))
    (slope,) = torch.autograd.grad(bits, far)
    assert bits.item() == pytest.approx(29.5**2 / 2 / math.log(2), rel=0.02)  # Gaussian tail
    assert slope.item() == pytest.approx(29.5 / math.log(2), rel=0.01)


def test_draws_go_up_as_often_as_the_temperature_says():
    torch.manual_seed(0)
    for above, temperature in ((0.3, 0.5), (0.6, 0.5), (0.6, 0.1)):
        found = drawn(torch.full((40_000,), above, dtype=torch.float64), temperature)
        odds = math.exp((math.atanh(above) - math.atanh(1 - above)) / temperature)
        assert (found > 0.5).double().mean().item() == pytest.approx(odds / (1 + odds), abs=0.01)
        assert ((found > 0) & (found < 1)).float().mean() > 0.5  # soft: it has a gradient
    cold = drawn(torch.full((1_000,), 0.6, dtype=torch.float64), 0.01)
    assert cold.min() > 0.99


def test_z_costs_what_the_tables_say_and_between_integers_the_mean():
    codec = hierlib.load("tiny")
    torch.manual_seed(3)
    values = torch.randint(-3, 4, (2, len(codec.medians), 1, 2)).double()
    hyper = HyperDraws((values + codec.medians[:, None, None]).float(), codec.medians, codec.z_tables)
    z_hat, bits = hyper.draw(0.0)
    rows = np.repeat(np.arange(len(codec.medians)), 2)
    assert torch.equal(z_hat, values + codec.medians[:, None, None])
    expected = [codec.z_tables.ideal_bits(each.numpy().astype(int).ravel(), rows) for each in values]
    assert bits.tolist() == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        hyper.centred += 1e-3  # a little above: nearly always the integer below
    near = torch.stack([hyper.draw(0.05)[1] for _ in range(20)]).mean(0)
    assert near.tolist() == pytest.approx(expected, rel=1e-2)
    with torch.no_grad():
        hyper.centred += 0.499  # halfway: the mean of both, over many draws
    halfway = torch.stack([hyper.draw(0.5)[1].detach() for _ in range(300)]).mean(0)
    above = [codec.z_tables.ideal_bits(each.numpy().astype(int).ravel() + 1, rows) for each in values]
    assert halfway.tolist() == pytest.approx([(a + b) / 2 for a, b in zip(expected, above, strict=True)], rel=2e-2)


def test_the_gradient_of_z_leads_to_the_likelier_integer():
    codec = hierlib.load("tiny")
    far = torch.full((1, len(codec.medians), 1, 1), 2.5) + codec.medians.float()[:, None, None]
    hyper = HyperDraws(far, codec.medians, codec.z_tables)
    hyper.draw(0.5)[1].sum().backward()
    assert hyper.centred.grad is not None
    assert (hyper.centred.grad > 0).float().mean() > 0.9  # most channels have their mass about the median
