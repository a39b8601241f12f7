"""The trainer: the loss against hand-made numbers, resuming bit for bit, and that training helps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_toys import BRIEF

import hierlib
from hierlib.classifiers import small
from hierlib.codec import entropy, transforms, weights
from hierlib.errors import CheckpointError, DataError, RecipeError
from hierlib.hierarchy.tree import Hierarchy
from hierlib.images.shapes import shapes
from hierlib.training import checkpoint, loop
from hierlib.training.augment import blur_some, crop_and_resize, crop_scaled, flip, flip_and_shift
from hierlib.training.classifier import CLASSIFIERS, train_classifier
from hierlib.training.data import Batches, in_memory, training_set
from hierlib.training.loss import cut, level_cross_entropy
from hierlib.training.mixed import TrainingView
from hierlib.training.recipes import RECIPES
from hierlib.training.start import codec_recipe, start
from hierlib.training.trainer import CodecTask, train


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["ci", "ci-progdtd", "ci-efficientpic", "ci-deephq", "ci-limitnet"])
def test_what_a_gpu_trained_is_a_codec_anywhere(name: str, tmp_path: Path) -> None:
    path = start(name, tmp_path, steps=3, workers=1)
    image = shapes(1)[0]
    stream = hierlib.load(path, "cuda").encode(image)
    decoded = hierlib.load(path).decode(stream)
    assert decoded.complete
    assert (decoded.image - image).abs().mean() < 0.5


def test_cross_entropy_is_of_summed_probabilities() -> None:
    """Worked by hand: p = (.5, .25, .125, .125), groups {0, 1} {2, 3}: the group of class 2 has .25."""
    table = Hierarchy("toy", tuple("abcd"), tuple("abcd"), ("coarse",), np.array([[0, 0, 1, 1]]), (("left", "right"),))
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.125, 0.125]]))
    loss, right = level_cross_entropy(logits, torch.tensor([2]), table, 0, smoothing=0.0)
    assert loss.item() == pytest.approx(-np.log(0.25))
    assert right == 0
    smoothed, _ = level_cross_entropy(logits, torch.tensor([2]), table, 0, smoothing=0.2)
    assert smoothed.item() == pytest.approx(-(0.9 * np.log(0.25) + 0.1 * np.log(0.75)))


def test_a_cut_keeps_the_largest_sigmas_and_leaves_mu() -> None:
    torch.manual_seed(0)
    y_hat, mu, log_sigma = torch.full((6, 2, 3, 3), 7.0), torch.full((6, 2, 3, 3), -1.0), torch.randn(6, 2, 3, 3)
    part = {"y_hat": y_hat, "mu": mu, "log_sigma": log_sigma, "bits": torch.rand(6, 2, 3, 3)}
    out = cut(part, 0.5)
    assert (out[3:] == 7).all()
    for picture in range(3):
        received = out[picture] == 7
        assert set(out[picture].unique().tolist()) <= {7.0, -1.0}
        if received.any() and not received.all():
            assert log_sigma[picture][received].min() > log_sigma[picture][~received].max()
    assert cut(part, 0.0) is y_hat


def test_batches_are_a_function_of_seed_and_step() -> None:
    pictures = shapes(36)
    first, second = (Batches(in_memory(pictures.pixels()), pictures.labels, 8, 3, flip_and_shift) for _ in range(2))
    later = second.batch(7)
    for step in range(7):
        first.batch(step)
    assert torch.equal(first.batch(7)[0], later[0])
    seen = np.concatenate([first.indices(step) for step in range(first.steps_per_epoch)])
    assert len(set(seen.tolist())) == len(seen) == 32


@pytest.mark.parametrize(
    "augment", [flip, flip_and_shift, lambda x, r: blur_some(x, r, 0.5), lambda x, r: crop_and_resize(x, r, 64)]
)
def test_augmentation_keeps_size_and_range(augment) -> None:
    images = shapes(8).batch(range(8))
    out = augment(images, np.random.default_rng(0))
    assert out.shape == images.shape
    assert out.min() >= 0
    assert out.max() <= 1
    assert not torch.equal(out, images)


class Interrupting(CodecTask):
    """Presses Ctrl-C at a given update."""

    stop_at = -1

    def update(self, step: int) -> dict[str, float]:
        if step == self.stop_at:
            raise KeyboardInterrupt
        return super().update(step)


def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    pictures = training_set(BRIEF.pictures, BRIEF.seed)
    about = {"recipe": BRIEF.to_json(), "seed": 0}
    whole = CodecTask(BRIEF, pictures)
    loop.run(whole, tmp_path / "whole", 8, about)
    halved = Interrupting(BRIEF, pictures)
    halved.stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        loop.run(halved, tmp_path / "halved", 8, about, checkpoint_every_s=0)
    resumed = CodecTask(BRIEF, pictures)
    loop.run(resumed, tmp_path / "halved", 8, about)
    for key, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[key]), key
    moments = [task.optimizers["main"].state_dict()["state"] for task in (whole, resumed)]
    assert moments[0].keys() == moments[1].keys()
    assert all(torch.equal(moments[0][i]["exp_avg"], moments[1][i]["exp_avg"]) for i in moments[0])
    steps = [json.loads(line)["step"] for line in (tmp_path / "halved" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [8]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    adam = torch.optim.Adam(module.parameters())
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path, module, {"adam": adam}, 1, {})
    checkpoint.save(path, module, {"adam": adam}, 2, {})
    path.write_bytes(b"half a file")
    assert checkpoint.load(path, module, {"adam": adam}, {}) == 1
    path.with_name(f"previous-{path.name}").write_bytes(b"")
    with pytest.raises(CheckpointError, match="start fresh"):
        checkpoint.load(path, module, {"adam": adam}, {})


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path, module, {}, 1, {"seed": 0})
    with pytest.raises(CheckpointError, match="another recipe"):
        checkpoint.load(path, module, {}, {"seed": 1})


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    class Broken:
        recipe = BRIEF
        module = torch.nn.Linear(1, 1)
        optimizers: dict[str, torch.optim.Optimizer] = {}  # noqa: RUF012

        def update(self, step: int) -> dict[str, float]:
            return {"loss": float("nan") if step == 3 else 1.0}

        def batch_at(self, step: int) -> dict:
            return {"keys": [f"picture {step}"]}

    with pytest.raises(loop.TrainingError, match="loss is nan at step 3"):
        loop.run(Broken(), tmp_path, 9, {}, checkpoint_every_s=0)
    failed = json.loads((tmp_path / "failed.json").read_text())
    assert failed == {"step": 3, "values": {"loss": "nan"}, "keys": ["picture 3"]}
    assert checkpoint.load(tmp_path / "checkpoint.safetensors", Broken.module, {}, {}) == 3


def test_training_lowers_the_loss_and_gives_a_codec_that_codes(tmp_path: Path) -> None:
    brief = replace(BRIEF, steps=45, batch_size=8, pictures="shapes:72")
    path = train(brief, tmp_path, resume=False)
    task = CodecTask(brief, training_set(brief.pictures))
    images = shapes(18, seed=77).batch(range(18))

    def objective(network, likelihoods) -> float:
        likelihoods.eval()
        with torch.no_grad():
            walked = likelihoods(network, images, 3)
            whole = replace(brief, cut_share=0.0)
            task.loss.recipe = whole
            view = TrainingView(network)
            terms = [task.loss.terms(view, walked, images, torch.zeros(18), level) for level in range(3)]
            return sum(float(task.loss.total(t, level)) for level, t in enumerate(terms))

    trained: dict = dict(task.average.module.named_children())
    before = objective(trained["network"], trained["likelihoods"])
    tensors, _ = weights.read(path)
    trained["network"].load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("network.")})
    own = {k[11:]: v for k, v in tensors.items() if k.startswith("likelihood.")}
    trained["likelihoods"].load_state_dict(own, strict=False)
    assert objective(trained["network"], trained["likelihoods"]) < 0.8 * before
    codec = weights.load(path)
    stream = codec.encode(images[0])
    assert codec.decode(stream).complete


def test_the_task_loss_reaches_the_encoder(tmp_path: Path) -> None:
    """A price on cross-entropy alone still moves g_a: gradients flow through classifier, g_s and rounding."""
    priced = replace(BRIEF, gamma=(1.0, 1.0, 1.0), lam=(0.0, 0.0, 0.0), task_from=0.0, cut_share=0.0)
    task = CodecTask(priced, training_set(priced.pictures))
    before = task.network.g_a[0].weight.detach().clone()
    log = task.update(0)
    assert log["nats_1"] > 0
    assert not torch.equal(before, task.network.g_a[0].weight)


def test_who_decoded_first_can_train_after() -> None:
    """Masks and places are kept from call to call: made in inference mode, autograd would refuse them."""
    for kept in (transforms._window_mask, transforms._relative_index, entropy._window_places):
        kept.cache_clear()
    task = CodecTask(BRIEF, training_set(BRIEF.pictures, 0))
    with torch.inference_mode():
        task._forward(0, *task.feed(0, 0))
    task._forward(0, *task.feed(0, 0))[0].backward()


def test_all_levels_of_a_step_share_one_walk() -> None:
    """The paper's Eq. 2 as it stands: three levels, one update; block 1 is in each of the three rates."""
    whole = replace(BRIEF, one_level_a_step=False, cut_share=0.0)
    log = CodecTask(whole, training_set(whole.pictures)).update(0)
    assert log["bytes_1"] < log["bytes_2"] < log["bytes_3"]
    assert {"mse_1", "mse_2", "mse_3"} <= set(log)


def test_going_on_from_weights_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = train(replace(BRIEF, steps=1), tmp_path / "a", resume=False)
    wider = replace(BRIEF, steps=1, codec=replace(BRIEF.codec, blocks=(24, 40, 60)))
    with pytest.raises(CheckpointError, match="does not fit recipe"):
        train(wider, tmp_path / "b", start_from=str(path))
    assert train(replace(BRIEF, steps=1), tmp_path / "c", start_from=str(path)).exists()


def test_the_classifier_learns_and_travels(tmp_path: Path) -> None:
    brief = replace(CLASSIFIERS["shapes"], pictures="shapes:90", widths=(8, 12, 16, 24), batch_size=30, epochs=2.0)
    path = train_classifier(brief, tmp_path)
    loaded = small.load(str(path))
    assert loaded.wnids == shapes(1).wnids
    assert loaded(torch.rand(2, 3, 100, 80)).shape == (2, 18)
    assert all(v.dtype in (torch.float16, torch.int64) for v in load_file(path).values())


def test_recipes_check_themselves() -> None:
    assert set(RECIPES) >= {"ci", "tiny64", "paper"}
    with pytest.raises(RecipeError, match="known are"):
        codec_recipe("nonsense")
    with pytest.raises(RecipeError, match="lam has 2 values"):
        replace(BRIEF, lam=(1.0, 2.0))
    with pytest.raises(RecipeError, match="multiples of 64"):
        replace(BRIEF, size=100)


def test_a_run_starts_by_the_name_of_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "brief", BRIEF)
    assert start("brief", tmp_path, steps=2, changes=["batch_size=2"]).name == "codec.safetensors"
    assert json.loads((tmp_path / "about.json").read_text())["recipe"]["batch_size"] == 2
    with pytest.raises(RecipeError, match=r"known are .*tiny64.*shapes-classifier"):
        start("nonsense", tmp_path)
    with pytest.raises(RecipeError, match="is a classifier"):
        start("shapes-classifier", tmp_path, steps=3)


def test_larger_crops_are_crops_of_the_size_asked_for() -> None:
    images = torch.rand(3, 3, 150, 200)
    for image in (*images, torch.rand(3, 70, 90)):
        out = crop_scaled(image, 128, np.random.default_rng(0))
        assert out.shape == (3, 128, 128)
        assert torch.equal(out, crop_scaled(image, 128, np.random.default_rng(0)))


def test_a_missing_data_folder_is_said(no_data: None) -> None:
    with pytest.raises(DataError, match="HIERLIB_DATA"):
        training_set("tiny-imagenet-train")


def test_live_progress_draws_each_level_and_is_updated_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    from hierlib.views.live import LiveProgress, progress_of_levels

    rows = [{"step": s, "bytes_1": 90.0 - s, "mse_1": 650.25, "bytes_2": 200.0, "mse_2": 65.025} for s in (50, 60)]
    left, right = progress_of_levels(rows).axes
    ends = [line.get_xydata()[-1].tolist() for line in left.lines if line.get_marker() == "o"]
    assert ends == [pytest.approx([30.0, 20.0]), pytest.approx([200.0, 30.0])]  # 10 log10(255^2 / 650.25) = 20 dB
    assert right.texts[0].get_text() == "not asked yet"
    shown = []

    class Handle:
        def update(self, picture) -> None:
            shown.append(("updated", picture.data[:4]))

    def display(picture, display_id) -> Handle:
        shown.append(("new", picture.data[:4]))
        return Handle()

    monkeypatch.setattr(IPython.display, "display", display)
    live = LiveProgress(every_s=0)
    for row in rows:
        live(row)
    assert shown == [("new", b"\x89PNG"), ("updated", b"\x89PNG")]
