"""What is computed once of every picture, and the pupil that learns from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from training_toys import BRIEF

from hierlib import classifiers
from hierlib.classifiers import small
from hierlib.errors import CheckpointError
from hierlib.images.packs import open_pack
from hierlib.images.shapes import shapes
from hierlib.training import derived
from hierlib.training.classifier import CLASSIFIERS, ClassifierTask, distillation, train_classifier
from hierlib.training.derived import decoded_pictures, teacher_logits
from hierlib.training.trainer import train

PICTURES = shapes(25)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ten pictures a part; how many pictures each call to the teacher brought."""
    monkeypatch.setattr(derived, "PART", 10)
    counts: list[int] = []
    load = classifiers.load

    def counting(name, device="cpu"):
        found = load(name, device)
        return replace(found, network=lambda images: counts.append(len(images)) or found.network(images))

    monkeypatch.setattr(classifiers, "load", counting)
    return counts


def test_a_teacher_is_asked_once_and_an_interrupted_pass_goes_on(tmp_path: Path, asked: list[int]) -> None:
    logits = teacher_logits("shapes", PICTURES, tmp_path)
    assert asked == [10, 10, 5]
    with torch.inference_mode():
        expected = small.load("shapes")(PICTURES.batch(range(25)))
    np.testing.assert_allclose(logits.astype(np.float32), expected.numpy(), atol=0.05)
    parts = sorted(tmp_path.rglob("*.npy"))
    parts[0].unlink()
    parts[1].write_bytes(parts[1].read_bytes()[:-9])  # damaged: asked again
    again = teacher_logits("shapes", PICTURES, tmp_path)
    assert asked == [10, 10, 5, 10, 10]
    assert np.array_equal(logits, again)
    teacher_logits("shapes", PICTURES, tmp_path)
    assert len(asked) == 5


def test_decoded_pictures_are_those_of_random_cuts_and_the_same_every_time(tmp_path: Path) -> None:
    path = train(replace(BRIEF, steps=1), tmp_path / "codec")
    pictures = shapes(70)
    one, two = (decoded_pictures(str(path), pictures, tmp_path / name) for name in ("one", "two"))
    assert one.shape == (70, 64, 64, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, two)
    original = pictures.pixels().astype(float)
    error = ((one - original) ** 2).mean((1, 2, 3))
    assert 0 < error.min() < error.max()
    assert np.median(error) < 0.9 * original.var()  # they show the picture, though not all of it


def test_distillation_by_hand() -> None:
    """T = 2: KL of softmax(taught / 2) from softmax(own / 2), times 4; nothing where both agree."""
    own, taught = torch.tensor([[0.0, 2.0]]), torch.tensor([[2.0, 0.0]])
    p, q = F.softmax(taught / 2, 1), F.softmax(own / 2, 1)
    assert distillation(own, taught, 2.0).item() == pytest.approx(4 * (p * (p / q).log()).sum().item())
    assert distillation(own, own + 3, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_the_pupil_learns_from_teacher_crops_and_what_a_codec_leaves(tmp_path: Path) -> None:
    codec = train(replace(BRIEF, steps=1), tmp_path / "codec")
    brief = replace(
        CLASSIFIERS["shapes"], pictures="shapes:90", batch_size=30, epochs=4.0, learning_rate=1e-3,
        crops=((0.5, 48), (0.9, 64)), bfloat16=True,
        start_from="shapes", teacher="shapes", teacher_weight=0.5, decoded=str(codec), decoded_share=0.2,
    )  # fmt: skip
    task = ClassifierTask(brief, shapes(90), tmp_path / "run")
    images, labels = task.batch(0)
    chosen = task.batches.indices(0)
    assert images.shape == (30, 3, 48, 48)
    assert np.array_equal(labels.numpy(), shapes(90).labels[chosen])
    assert task.batch(round(0.7 * task.steps))[0].shape == (30, 3, 64, 64)  # crops still, resized to the whole side
    assert task.batch(task.steps - 1)[0].shape == (30, 3, 64, 64)  # the last tenth: whole pictures
    log = task.update(0)
    assert log["loss"] == pytest.approx(0.5 * log["nats"] + 0.5 * log["taught"])
    path = train_classifier(brief, tmp_path / "run")
    assert small.load(str(path)).network.size == 64


def test_going_on_from_a_classifier_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="another shape or of other classes"):
        ClassifierTask(replace(CLASSIFIERS["shapes"], start_from="tiny", pictures="shapes:90"), shapes(90), tmp_path)


def test_more_blocks_begin_as_identities(tmp_path: Path) -> None:
    pictures = shapes(90)
    recipe = replace(CLASSIFIERS["shapes"], start_from="shapes", pictures="shapes:90", batch_size=30, depth=3)
    task = ClassifierTask(recipe, pictures, tmp_path)
    images = pictures.batch(range(6))
    with torch.inference_mode():
        assert torch.allclose(task.module.eval()(images), small.load("shapes")(images), atol=1e-4)
    deeper = small.SmallResNet(18, recipe.widths, depth=3)
    small.save(tmp_path / "deeper.safetensors", deeper, pictures.wnids, {})
    shallow = replace(recipe, start_from=str(tmp_path / "deeper.safetensors"), depth=1)
    with pytest.raises(CheckpointError, match="another shape or of other classes"):
        ClassifierTask(shallow, pictures, tmp_path)


def test_a_graph_can_be_asked_at_another_side(data_root: Path) -> None:
    coarse, fine = (classifiers.load(f"mobilenet_v2_1.0{side}") for side in ("@96", ""))
    assert coarse.name == "mobilenet_v2_1.0@96"
    assert coarse.network.size == 96
    assert fine.network.size == 224


def test_who_was_taught_names_more_pictures(data_root: Path) -> None:
    """Every tenth of the 4,000 validation pictures: 0.384, 0.487 and 0.512 of all, standard error 0.025 of one."""
    pictures = open_pack("tiny-imagenet-val")
    chosen = range(0, len(pictures), 10)
    images, labels = pictures.batch(chosen), torch.from_numpy(pictures.labels[np.array(chosen)])

    def right(name: str) -> float:
        with torch.inference_mode():
            logits = classifiers.restrict(classifiers.load(name), pictures.wnids)(images)
        return (logits.argmax(1) == labels).float().mean().item()

    assert right("tiny-taught") > max(0.44, right("tiny") + 0.05)
    assert right("tiny-deep") > max(0.47, right("tiny") + 0.07)
