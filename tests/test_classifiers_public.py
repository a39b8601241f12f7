"""Classifiers by name: the transform is the library's, results tell the weights, and no network means a sentence."""

import pytest
import torch
from evaluation_toys import FourBytes, hierarchy, pictures

from hierlib import classifiers
from hierlib.classifiers import Named, public
from hierlib.errors import DataError
from hierlib.evaluation import evaluate


@pytest.mark.parametrize("model", ["resnet50", "convnext_tiny", "mobilenet_v3_large"])
def test_the_papers_three_are_transformed_as_their_weights_say(model, monkeypatch):
    from torchvision import models

    monkeypatch.setattr(models, "get_model", lambda name, weights: torch.nn.Flatten())
    _, label, transform = public._torchvision(model)
    weights = models.get_model_weights(model).DEFAULT
    assert label == f"{model}.{weights.name}"
    for height, width in ((64, 64), (227, 227), (300, 260)):
        images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(transform(images), weights.transforms()(images), atol=1e-4)


def test_timm_is_transformed_as_its_configuration_says(monkeypatch):
    import timm

    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: create(name, pretrained=False))
    network, label, transform = public._timm("mobilenetv3_small_050")
    assert label == "mobilenetv3_small_050.lamb_in1k"
    assert (transform.resize, transform.crop, transform.interpolation) == (256, 224, "bicubic")
    images = torch.rand(1, 3, 300, 260)
    assert network.eval()(transform(images)).shape == (1, 1000)


def test_the_weights_and_the_transform_are_told_by_every_result(monkeypatch):
    transform = public.Transform(6, 4, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bilinear")
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 1000))
    monkeypatch.setattr(public, "_torchvision", lambda model: (network, f"{model}.V1", transform))
    judge = classifiers.load("torchvision/toy")
    assert (judge.name, len(judge.wnids)) == ("torchvision/toy.V1", 1000)
    assert judge(torch.rand(2, 3, 9, 7)).shape == (2, 1000)
    wnids = judge.wnids[:4]
    results = evaluate(FourBytes(), pictures([0, 3], wnids), hierarchy(wnids), [judge], [3], wup=False, progress=False)
    (told,) = results.meta["classifiers"].values()
    assert told["about"]["weights"] == "toy.V1"
    assert told["about"]["transform"]["crop"] == 4
    few = classifiers.restrict(judge, wnids)
    assert isinstance(few, Named)
    assert few.about == judge.about


def test_without_a_network_the_next_best_is_named(monkeypatch, tmp_path):
    def offline(model):
        raise OSError("no network")

    monkeypatch.setattr(public, "_torchvision", offline)
    monkeypatch.delenv("HIERLIB_DATA", raising=False)
    with pytest.raises(DataError, match=r"cannot be had \(OSError: no network\).*the shipped one, tiny"):
        classifiers.load("torchvision/resnet50")
    folder = tmp_path / "classifiers"
    folder.mkdir()
    for ending in ("json", "npz"):
        (folder / f"mine.{ending}").write_bytes(b"")
    monkeypatch.setenv("HIERLIB_DATA", str(tmp_path))
    with pytest.raises(DataError, match="use mine, which is at hand"):
        classifiers.load("torchvision/resnet50")


def test_a_name_that_a_library_does_not_know():
    for name in ("torchvision/resnet5000", "timm/resnet5000"):
        with pytest.raises(DataError, match="knows no classifier resnet5000"):
            classifiers.load(name)


def test_the_handmade_one_knows_shapes_better_than_chance_and_any_size():
    from hierlib import hierarchy as trees
    from hierlib.images.shapes import shapes

    judge, drawn = classifiers.load("shapes-hog"), shapes(72, seed=99)
    tree = trees.load("shapes").restrict(drawn.wnids)
    logits = judge(drawn.batch(range(72)))
    right = [
        float((tree.log_probabilities(logits, k).argmax(1).numpy() == tree.groups[k][drawn.labels]).mean())
        for k in range(3)
    ]
    assert right[0] > 0.65
    assert right[1] > 0.35
    assert right[2] > 0.25
    assert judge(torch.rand(1, 3, 40, 50)).shape == (1, 18)
    assert judge.about["pictures"] > 0
