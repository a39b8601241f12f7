"""What a GPU may record: an update that asks the processor nothing, and replays that learn what the update would."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_toys import BRIEF

from hierlib.codec.likelihood import Likelihoods
from hierlib.training.data import training_set
from hierlib.training.distributed import Group
from hierlib.training.recipe import Recipe
from hierlib.training.recorder import Recorder
from hierlib.training.trainer import CodecTask

EVERYTHING = replace(
    BRIEF, gamma=(0.1, 0.1, 0.1), task_from=0.0, target="clean", jitter=0.08,
    features="shapes", feature_weight=(0.4, 0.8, 2.0),
)  # fmt: skip


def task_of(recipe: Recipe, device: str = "cpu") -> CodecTask:
    return CodecTask(recipe, training_set(recipe.pictures, 0), Group(device=device))


def test_an_update_asks_the_processor_nothing() -> None:
    """The compiler follows all of it without a break: no number is read back, no choice depends on one."""
    task = task_of(EVERYTHING)
    images, labels = task.feed(0, 0)
    task.update(0)  # what is kept from call to call is made now
    torch._dynamo.reset()
    with pytest.warns(UserWarning, match="lru_cache"):  # which the compiler looks through
        found = torch._dynamo.explain(lambda x, of: task._forward(0, x, of)[0])(images, labels)
    assert found.graph_count == 1, [str(each.reason) for each in found.break_reasons]


@pytest.mark.parametrize("training", [True, False])
def test_the_rate_of_z_is_compressais(training: bool) -> None:
    likelihoods = Likelihoods(6)
    for parameter in likelihoods.bottleneck.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    likelihoods.train(training)
    z = 3 * torch.randn(5, 6, 2, 3)
    torch.manual_seed(1)
    ours = likelihoods._likelihood_of_z(z)
    torch.manual_seed(1)
    _, theirs = likelihoods.bottleneck(z)
    assert torch.equal(ours, theirs)
    assert (ours < 0.9).any()


def test_updates_of_one_kind_differ_in_nothing_but_their_pictures() -> None:
    task = task_of(replace(EVERYTHING, large=BRIEF.pictures, large_every=4, large_size=128, task_from=0.5, steps=48))
    kinds = [task._kind(step) for step in range(48)]
    assert len(set(kinds[:24])) == 6  # three levels, two sizes, no task yet
    assert kinds[:12] == kinds[12:24]
    assert set(kinds[24:]) & set(kinds[:24]) == {kind for kind in kinds if kind is not None and kind[0]}  # large: none
    assert task_of(replace(EVERYTHING, y_step=(1.0, 9.0)))._kind(0) is None
    assert task_of(replace(EVERYTHING, parts=2))._kind(0) is None


def test_without_a_gpu_nothing_is_recorded() -> None:
    weight = torch.ones(2, requires_grad=True)

    def learn(x: torch.Tensor) -> dict[str, torch.Tensor]:
        loss = (weight * x).sum()
        loss.backward()
        return {"loss": loss.detach()}

    recorder = Recorder(on=False)
    for number in range(6):
        weight.grad = None
        assert recorder("kind", learn, [weight], torch.full((2,), float(number)))["loss"] == 2 * number
        assert weight.grad.tolist() == [number, number]
    assert not task_of(replace(EVERYTHING, recorded=True)).recorder.on


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_replays_learn_what_the_updates_would() -> None:
    """From the same seeds: the sixth update of a kind is its second replay. Sums on a GPU come in any order."""
    plain, replayed = (task_of(replace(EVERYTHING, recorded=recorded), "cuda") for recorded in (False, True))
    for step in range(18):
        here, there = plain.update(step), replayed.update(step)
        assert here == pytest.approx(there, rel=0.02)
    assert len(replayed.recorder._recordings) == 4  # three levels, and the quantiles
    assert not plain.recorder._recordings
