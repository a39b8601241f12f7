"""What a recipe can switch: what the rate counts and of which values, what the target is, arithmetic, and more."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from compressai.entropy_models import GaussianConditional
from training_toys import BRIEF

from hierlib.codec.likelihood import LikelihoodCoder, Likelihoods
from hierlib.codec.network import HierNetwork
from hierlib.errors import RecipeError
from hierlib.hierarchy.tree import Hierarchy
from hierlib.images.packs import from_arrays
from hierlib.images.shapes import shapes
from hierlib.training.data import training_set
from hierlib.training.loss import LevelLoss, LevelTerms, jittered, level_cross_entropy
from hierlib.training.mixed import TrainingView
from hierlib.training.recipe import changed
from hierlib.training.rounded import RoundedGaussian
from hierlib.training.trainer import CodecTask

TABLE = Hierarchy("toy", tuple("abcd"), tuple("abcd"), ("coarse",), np.array([[0, 0, 1, 1]]), (("left", "right"),))


def test_eq_2_counts_z_and_block_1_once_or_three_times() -> None:
    """Bits of z 2, of blocks 3, 5, 7 a picture of 64 pixels: the prefixes hold 5, 10, 17; counted once 5, 5, 7."""
    one = torch.zeros(1, 1, 1, 1)
    blocks = [{"bits": one + b, "y_hat": one, "mu": one, "log_sigma": one} for b in (3.0, 5.0, 7.0)]
    walked = {"blocks": blocks, "bits_z": torch.tensor([2.0])}

    class View:
        config = BRIEF.codec

        def synthesise(self, y_hat):
            return torch.zeros(1, 3, 8, 8)

    def paid(count: str) -> list[float]:
        loss = LevelLoss(replace(BRIEF, count=count, cut_share=0.0), TABLE, [])
        images, labels = torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.long)
        return [64 * loss.terms(View(), walked, images, labels, level).bpp.item() for level in range(3)]

    assert paid("prefix") == [5, 10, 17]
    assert paid("block") == [5, 5, 7]


def test_rounded_rates_are_those_of_the_decoder_and_have_a_gradient() -> None:
    """-log2 of the unit bin about round(y - mu), by hand; CompressAI's noisy value differs, its gradient is similar."""
    y = torch.tensor([[[[0.7]], [[2.2]]]], requires_grad=True)
    mu, sigma = torch.full_like(y, 0.1), torch.full_like(y, 0.9)
    y_hat, likelihood = RoundedGaussian(None)(y, sigma, mu)

    def mass(q: float) -> float:
        return 0.5 * (math.erf((q + 0.5) / 0.9 / math.sqrt(2)) - math.erf((q - 0.5) / 0.9 / math.sqrt(2)))

    assert y_hat.flatten().tolist() == pytest.approx([1.1, 2.1])
    assert likelihood.flatten().tolist() == pytest.approx([mass(1.0), mass(2.0)], rel=1e-5)
    (-torch.log2(likelihood)).sum().backward()
    assert (y.grad.flatten() > 0.5).all()  # dearer the farther from mu


def test_a_run_with_rounded_rates_sees_no_noise() -> None:
    for rate, same in (("rounded", True), ("noisy", False)):
        task = CodecTask(replace(BRIEF, rate=rate), training_set(BRIEF.pictures))
        images = shapes(4).batch(range(4))
        bits = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            walked = task.likelihoods.train()(task.view, images)
            bits.append(torch.cat([part["bits"].flatten() for part in walked["blocks"]]))
        assert torch.equal(*bits) is same


def test_distillation_asks_for_what_the_clean_picture_says() -> None:
    """Target: groups (.75, .25) by the clean logits, whatever the label; least where the answer is the same."""
    clean, labels = torch.log(torch.tensor([[0.5, 0.25, 0.125, 0.125]])), torch.tensor([3])
    same, _ = level_cross_entropy(clean, labels, TABLE, 0, 0.0, clean)
    assert same.item() == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    other, right = level_cross_entropy(clean.flip(1), labels, TABLE, 0, 0.0, clean)
    assert other.item() == pytest.approx(-(0.75 * math.log(0.25) + 0.25 * math.log(0.75)))
    assert right == 1  # of the label, as ever


def test_two_judges_take_turns_at_every_level() -> None:
    loss = LevelLoss(replace(BRIEF, second_every=3), TABLE, ["first", "second"])
    asked = [(step % 3, loss.judge(step)) for step in range(27)]
    assert {level for level, judge in asked if judge == "second"} == {0, 1, 2}
    assert sum(judge == "second" for _, judge in asked) == 9
    assert LevelLoss(BRIEF, TABLE, []).judge(0) is None


def test_jitter_moves_but_does_not_spoil() -> None:
    images = shapes(4).batch(range(4))
    assert jittered(images, 0.0) is images
    torch.manual_seed(0)
    moved = jittered(images, 0.1)
    assert moved.shape == images.shape
    assert not torch.equal(moved, images)
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert (moved.mean((2, 3)) - images.mean((2, 3))).abs().max() < 0.15


def test_bf16_leaves_the_entropy_path_in_float32() -> None:
    network, likelihoods = HierNetwork(BRIEF.codec), Likelihoods(BRIEF.codec.N_hyper)
    images = shapes(2).batch(range(2))
    seen: dict[str, torch.dtype] = {}
    for name, module in (("g_a", network.g_a), ("h_s", network.entropy.h_s), ("H", network.entropy.parameters_net)):
        module.register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: (out[0] if isinstance(out, tuple) else out).dtype})
        )
    view = TrainingView(network, bf16=True)
    walked = likelihoods(view, images)
    assert seen == {"g_a": torch.bfloat16, "h_s": torch.float32, "H": torch.float32}
    assert walked["y"].dtype == walked["blocks"][0]["bits"].dtype == torch.float32
    assert view.synthesise(walked["y_hat"]).dtype == torch.float32


def test_channels_last_changes_the_layout_and_not_the_result() -> None:
    plain, fast = (
        CodecTask(replace(BRIEF, fast_layout=layout, steps=4), training_set(BRIEF.pictures)) for layout in (False, True)
    )
    assert any(p.is_contiguous(memory_format=torch.channels_last) for p in fast.network.g_a.parameters() if p.ndim == 4)
    losses = []
    for task in (plain, fast):
        task.likelihoods.eval()  # noise is drawn in the order of the memory
        torch.manual_seed(0)
        losses.append(task._forward(2, *task._draw(2, 0))[0])
    torch.testing.assert_close(*losses, rtol=1e-4, atol=0)


def test_a_recipe_is_changed_by_words() -> None:
    recipe = changed(BRIEF, ["batch_size=8", "lam=(1e-3, 1e-3, 1)", "learning_rate=1", "pictures=imagenet/train:80"])
    assert recipe.batch_size == 8
    assert recipe.lam == (1e-3, 1e-3, 1)
    assert recipe.learning_rate == 1.0
    assert recipe.pictures == "imagenet/train:80"
    for wrong in ("nothing=1", "batch_size", "batch_size=many", "batch_size=1.5", "codec=1"):
        with pytest.raises(RecipeError):
            changed(BRIEF, [wrong])
    with pytest.raises(RecipeError, match="rate is 'loud', it can be noisy or rounded"):
        changed(BRIEF, ["rate=loud"])


def test_a_step_of_y_scales_noise_sigma_and_rounding() -> None:
    """PLONQ's latent scaling: the rate of y at step 3 is CompressAI's of y / 3 under sigma / 3."""
    torch.manual_seed(0)
    y = 6 * torch.randn(1, 4, 5, 5)
    log_sigma, mu = torch.randn(1, 4, 5, 5), torch.randn(1, 4, 5, 5)
    gaussian = GaussianConditional(None).eval()
    coder = LikelihoodCoder(gaussian, y, [(0, 4)], y_step=3.0)
    y_hat = coder.code_block(0, log_sigma, mu)
    _, expected = gaussian(y / 3, log_sigma.exp() / 3, mu / 3)
    assert torch.equal(coder.blocks[0]["likelihood"], expected)
    assert torch.allclose((y_hat - mu) / 3, torch.round((y_hat - mu) / 3), atol=1e-5)
    assert (y_hat - y).abs().max() <= 1.5 + 1e-5


def test_lambda_falls_with_the_square_of_the_step() -> None:
    terms = LevelTerms(*map(torch.tensor, (0.5, 90.0, 2.0, 0.0, 0.0, 0.0)))
    loss = LevelLoss(replace(BRIEF, lam=(0.1, 0.1, 0.1), gamma=(0.0, 0.0, 0.0), level_weight=(1.0,) * 3), TABLE, [])
    assert loss.total(terms, 0).item() == pytest.approx(0.5 + 0.1 * 90)
    assert loss.total(terms, 0, 3.0).item() == pytest.approx(0.5 + 0.1 * 10)
    with pytest.raises(RecipeError, match="least and the largest"):
        replace(BRIEF, y_step=(3.0, 1.0))


def test_steps_of_y_are_drawn_from_the_whole_range() -> None:
    task = CodecTask(replace(BRIEF, y_step=(1.0, 9.0)), training_set(BRIEF.pictures, 0))
    drawn = np.log([task._y_step() for _ in range(400)]) / np.log(9.0)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert np.histogram(drawn, 4, (0, 1))[0].min() > 70


def test_a_set_of_few_classes_is_judged_among_all_of_them() -> None:
    whole = shapes(48)
    kept = [i for i, label in enumerate(whole.labels) if label in (2, 5)]
    two, labels = (whole.wnids[2], whole.wnids[5]), np.searchsorted((2, 5), whole.labels[kept])
    pictures = from_arrays("two", two, two, whole.pixels()[kept], labels)
    recipe = replace(BRIEF, gamma=(0.1, 0.1, 0.1), batch_size=2, task_from=0.0, label_smoothing=0.0)
    few, every = (CodecTask(replace(recipe, classes=classes), pictures) for classes in ("pictures", "all"))
    assert few.loss.hierarchy.wnids == pictures.wnids
    assert every.loss.hierarchy.wnids == whole.wnids
    assert every.rows.tolist() == [2, 5]

    def log_of(task: CodecTask) -> dict[str, float]:
        torch.manual_seed(0)
        return task._forward(0, *task.feed(0, 0))[1]

    logs = [log_of(task) for task in (few, every)]
    assert logs[0]["mse_1"] == logs[1]["mse_1"]
    assert logs[0]["nats_1"] != logs[1]["nats_1"]  # to tell two things apart is not to tell twelve

    class Knows:
        """Says what the labels say, whatever it is shown."""

        network = torch.nn.Identity()

        def __call__(self, images):
            labels = every.rows[every.feed(0, 0)[1]]
            return 50.0 * torch.nn.functional.one_hot(labels, len(whole.wnids)) + images.sum() * 0

    every.loss.judges = [Knows()]
    log = log_of(every)
    assert log["right_1"] == 1
    assert log["nats_1"] == pytest.approx(0, abs=1e-4)
