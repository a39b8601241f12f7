"""A loss on the feature maps of a classifier."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from training_toys import BRIEF

from hierlib import classifiers
from hierlib.classifiers.graph import Graph
from hierlib.errors import DataError, RecipeError
from hierlib.training.data import training_set
from hierlib.training.features import Features, last_of_each_scale
from hierlib.training.trainer import CodecTask

WITH = replace(BRIEF, features="shapes", feature_weight=(0.5, 1.0, 2.0), gamma=(0.0, 0.0, 0.0), task_from=0.5)


class Pyramid:
    """Maps by hand: the picture times ten, then its halves."""

    def maps(self, images):
        yield images
        yield 10 * images
        yield F.avg_pool2d(images, 2)


def test_what_is_lost_by_hand() -> None:
    """A picture of one channel, columns 0 and 1 in turn, variance 1/4 (and 25 times ten), and its mean everywhere.

    At the first scale the mean is all that is left: 1. At the second the halves are all 1/2, in both: 0.
    """
    features = object.__new__(Features)
    features.network = Pyramid()
    stripes = torch.tensor([0.0, 1.0]).repeat(2).expand(1, 1, 4, 4)
    assert [tuple(each.shape) for each in last_of_each_scale(Pyramid().maps(stripes))] == [(1, 1, 4, 4), (1, 1, 2, 2)]
    assert features.lost(stripes, torch.full_like(stripes, 0.5)).item() == pytest.approx(0.5)
    assert features.lost(stripes, 0.5 * (stripes + 0.5)).item() == pytest.approx(0.125)  # half of what deviates
    assert features.lost(stripes, stripes).item() == 0


def test_maps_of_the_small_classifier_and_of_a_graph_end_in_their_logits() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64)
    small = Features("shapes").network
    *_, last = small.maps(images)
    assert torch.equal(small.head(F.relu(small.norm(last)).mean((2, 3))), classifiers.load("shapes")(images))
    ops = [
        {"op": "CONV_2D", "in": [0], "out": 1, "k": 0, "stride": 2, "same": True, "groups": 1, "act": "relu"},
        {"op": "CONV_2D", "in": [1], "out": 2, "k": 1, "stride": 2, "same": True, "groups": 1},
        {"op": "MEAN", "in": [2], "out": 3},
        {"op": "FULLY_CONNECTED", "in": [3], "out": 4, "k": 2},
    ]
    shapes = {"w0": (4, 3, 3, 3), "b0": (4,), "w1": (5, 4, 3, 3), "b1": (5,), "w2": (1000, 5), "b2": (1000,)}
    arrays = {name: torch.randn(shape).numpy() for name, shape in shapes.items()}
    graph = Graph({"size": 64, "in_zero": 0, "in_scale": 1 / 255, "input": 0, "ops": ops}, arrays)
    maps = list(graph.maps(images))
    assert [tuple(each.shape) for each in maps] == [(2, 4, 32, 32), (2, 5, 16, 16)]
    assert torch.allclose(F.linear(maps[1].mean((2, 3)), graph.kernels["w2"], graph.kernels["b2"]), graph(images))


def test_training_pays_for_what_is_lost_from_when_the_task_joins() -> None:
    task = CodecTask(WITH, training_set(WITH.pictures, 0))
    assert task.loss.judges == []  # nobody is asked for an answer
    step = WITH.steps - 1
    level = step % 3
    logs = []
    for weight in (0.0, WITH.feature_weight[level]):
        task.loss.recipe = replace(WITH, feature_weight=(weight,) * 3, level_weight=(1.0,) * 3)
        torch.manual_seed(0)
        logs.append({key: float(each) for key, each in task._forward(step, *task.feed(step, 0))[1].items()})
    lost = logs[0][f"lost_{level + 1}"]
    assert 0 < lost == logs[1][f"lost_{level + 1}"]
    assert logs[1][f"loss_{level + 1}"] - logs[0][f"loss_{level + 1}"] == pytest.approx(weight * lost, rel=1e-3)
    assert "lost_1" not in task._forward(0, *task.feed(0, 0))[1]


def test_its_mistakes_are_told() -> None:
    with pytest.raises(RecipeError, match="feature_weight has 1 values, the codec 3 levels"):
        replace(WITH, feature_weight=(1.0,))
    with pytest.raises(DataError, match="shows no feature maps: take a small classifier"):
        Features("shapes-hog")
