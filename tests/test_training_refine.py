"""An encoder that searches: what it writes, by the plain codec's decoder."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import hierlib
from hierlib.codec import weights
from hierlib.errors import CheckpointError, DataError, PictureError, RecipeError
from hierlib.evaluation import Results
from hierlib.evaluation.measure import PLAN
from hierlib.files import shipped
from hierlib.images.pictures import demonstration
from hierlib.training import refine
from hierlib.training.refine import Search

ALONE = ["features=", "gamma=(0.0,0.0,0.0)"]  # for the picture alone
ASKED = ["features=", "gamma=(1.0,1.0,1.0)"]  # and the classifier that ships


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.stack(list(demonstration(64).values())[:4])


@pytest.fixture(scope="module")
def plain():
    return hierlib.load("tiny")


def test_streams_are_the_plain_codecs_and_the_same_each_time(pictures, plain):
    codec = refine.load("tiny", Search(steps=6), ALONE)
    assert (codec.name, codec.fingerprint) == ("tiny-refined", plain.fingerprint)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    odd = pictures[0][:, :50, :37]
    with torch.inference_mode():
        stream = codec.encode(odd)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(p.requires_grad for p in codec.network.parameters())
    assert stream == codec.encode(odd) != plain.encode(odd)
    whole = plain.decode(stream)
    assert whole.complete
    assert whole.image.shape == odd.shape
    assert plain.decode(stream[:60]).symbols > 0
    assert codec.encode(odd, 60) == stream[:60]
    assert torch.equal(codec.decode(stream).image, whole.image)


def test_z_is_searched_for_too_unless_told_not_to(pictures, plain):
    def symbols_of_z(codec) -> list[list[int]]:
        with torch.no_grad():
            return [codec.hyper_values(each[None]).tolist() for each in codec.latents(pictures)[1]]

    z = symbols_of_z(plain)
    assert symbols_of_z(refine.load("tiny", Search(steps=12, hyper_rate=0.0), ALONE)) == z
    moved = np.array(symbols_of_z(refine.load("tiny", Search(steps=12, hyper_rate=0.2), ALONE))) - z
    assert 0 < np.abs(moved).max() <= 3
    assert (moved == 0).mean() > 0.5


def price(codec, plain, pictures) -> float:
    """What the recipe's last level counts, of real files: bits per pixel and the weighted squared error."""
    total = 0.0
    for stream, image in zip(codec.encode_batch(pictures), pictures, strict=True):
        mse = ((plain.decode(stream).image - image) ** 2).mean().item() * 255**2
        total += 8 * len(stream) / image[0].numel() + 2e-2 * mse
    return total


def test_real_files_become_cheaper(pictures, plain):
    codec = refine.load("tiny", Search(steps=45), [*ALONE, "level_weight=(0.0,0.0,1.0)"])
    assert price(codec, plain, pictures) < 0.99 * price(plain, plain, pictures)


def test_the_classifier_sees_at_few_bytes_more_of_what_it_saw_before_coding(pictures, plain):
    from hierlib import classifiers, hierarchy

    judge, tree = classifiers.load("tiny"), hierarchy.load("tiny-clip")
    groups = tree.log_probabilities(judge(pictures), 0).argmax(1)

    def nats(codec) -> float:
        shown = torch.stack([plain.decode(stream[:128]).image for stream in codec.encode_batch(pictures)])
        return -tree.log_probabilities(judge(shown), 0).gather(1, groups[:, None]).mean().item()

    assert nats(refine.load("tiny", Search(steps=45), ASKED)) < nats(plain) - 0.1


def test_its_mistakes_are_told(pictures, monkeypatch):
    with pytest.raises(CheckpointError, match="method dpict"):
        refine.load("dpict")
    with pytest.raises(RecipeError, match="sets no field"):
        refine.load("tiny", changes=["colour=1"])
    monkeypatch.setattr(refine, "LARGEST_PIXELS", 4095)
    with pytest.raises(PictureError, match="64 x 64 pixels; a search keeps all of them"):
        refine.load("tiny", Search(steps=1), ALONE).encode(pictures[0])
    monkeypatch.delenv("HIERLIB_DATA", raising=False)
    with pytest.raises(DataError, match=r"no classifier mobilenet_edgetpu_1\.0@96.*features= asks for no feature maps"):
        refine.load("tiny")


def test_what_a_search_minds_beside_the_recipe_and_what_it_is_told_instead(monkeypatch):
    beside = refine.Beside(("features=tiny", "feature_weight=(1.0,2.0,3.0)"), 0.5)
    monkeypatch.setitem(refine.BESIDE, "tiny", beside)
    said = refine.load("tiny").search
    assert (said["features"], said["feature_weight"], said["gamma"]) == ("tiny", (1.0, 2.0, 3.0), (0.1, 0.15, 0.3))
    assert (said["hyper_rate"], refine.load("tiny", Search(hyper_rate=0.0)).search["hyper_rate"]) == (0.5, 0.0)
    told = refine.load("tiny", changes=["features=", "feature_weight=(0.5,0.5,0.5)"]).search
    assert (told["features"], told["feature_weight"]) == ("", (0.5, 0.5, 0.5))
    assert refine.load("photo", changes=ALONE).search["feature_weight"] == (0.6, 1.2, 2.4)


def test_shipped_results_are_of_the_search_that_is_made_today():
    for made in (each for each in PLAN if each.refined):
        _, about = weights.read(weights.locate(made.codec))
        today = refine.said(*refine.settled(made.codec, about["recipe"], Search()))
        then = {"hyper_rate": 0.0, **Results.load(made.path(shipped("results"))).meta["codec"]["search"]}
        assert then == json.loads(json.dumps(today)), made.name  # which has no tuples


def test_weights_that_do_not_say_their_recipe_are_refused(tmp_path):
    from hierlib.codec.trainable import TrainableCodec

    model = TrainableCodec.from_file("tiny")
    del model.about["recipe"]
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="does not say by which recipe"):
        refine.load(tmp_path)


def test_from_the_shell(pictures, plain, tmp_path, capsys):
    from hierlib.__main__ import main
    from hierlib.images.pictures import save_picture

    save_picture(pictures[0], tmp_path / "in.png")
    given = ["encode", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.c2f")]
    assert main([*given, "--refine", "3", "--set", "features=", "--set", "gamma=(0.0,0.0,0.0)"]) == 0
    assert plain.decode((tmp_path / "out.c2f").read_bytes()).complete
    assert main([*given, "--set", "features="]) == 2
    assert "give --refine STEPS too" in capsys.readouterr().err
