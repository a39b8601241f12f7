"""CLIP text embeddings: the way through open_clip with a model small enough for a test, the cache, what is refused."""

import json
import os

import numpy as np
import pytest
import torch

from hierlib.errors import DataError, HierarchyError
from hierlib.hierarchy import clip, laboratory
from hierlib.hierarchy.classes import classes

NAMES = ["tench", "goldfish", "great white shark"]
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A registered CLIP of 16 channels with random weights: (model name, checkpoint, the model)."""
    import open_clip

    folder = tmp_path_factory.mktemp("models")
    (folder / "hierlib-test-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(1)
    net = open_clip.create_model("hierlib-test-tiny").eval()
    torch.save(net.state_dict(), folder / "tiny.pt")
    return "hierlib-test-tiny", str(folder / "tiny.pt"), net


def expected(net, template):
    import open_clip

    with torch.no_grad():
        return net.encode_text(open_clip.tokenize([template.format(name) for name in NAMES])).numpy()


def test_embeds_with_the_models_own_text_tower(tiny, tmp_path):
    model, checkpoint, net = tiny
    found = clip.embed(NAMES, model, checkpoint, cache=tmp_path, batch=2)
    assert found.shape == (3, 16)
    assert found.dtype == np.float32
    assert np.allclose(found, expected(net, "a photo of a {}"), atol=1e-5)


def test_a_model_that_brings_its_weights(tiny, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    torch.save(tiny[2].state_dict(), folder / "open_clip_pytorch_model.bin")
    found = clip.embed(NAMES, f"local-dir:{folder}", cache=tmp_path / "cache")
    assert np.allclose(found, expected(tiny[2], "a photo of a {}"), atol=1e-5)
    key = clip.cache_key(NAMES, f"local-dir:{folder}", "", ["{}"])
    torch.save({}, folder / "open_clip_pytorch_model.bin")
    assert clip.cache_key(NAMES, f"local-dir:{folder}", "", ["{}"]) != key
    with pytest.raises(DataError, match=r"of local-dir:.*nothing cannot be had"):
        clip.embed(NAMES, f"local-dir:{tmp_path}/nothing", cache=tmp_path / "cache")


def test_several_templates_are_averaged_on_the_sphere(tiny, tmp_path):
    model, checkpoint, net = tiny
    templates = ("a photo of a {}", "a drawing of a {}")
    found = clip.embed(NAMES, model, checkpoint, templates, cache=tmp_path)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (expected(net, t) for t in templates)]
    assert np.allclose(found, (unit[0] + unit[1]) / 2, atol=1e-5)


def test_the_cache_is_read_and_knows_what_it_depends_on(tiny, tmp_path, monkeypatch):
    model, checkpoint, _ = tiny
    first = clip.embed(NAMES, model, checkpoint, cache=tmp_path)
    (stored,) = tmp_path.glob("*.npy")
    with monkeypatch.context() as patched:
        patched.setattr(clip, "_open", lambda *_: pytest.fail("the cache was not used"))
        assert (clip.embed(NAMES, model, checkpoint, cache=tmp_path) == first).all()
    keys = {
        clip.cache_key(NAMES, model, checkpoint, ["a photo of a {}"]),
        clip.cache_key(NAMES[::-1], model, checkpoint, ["a photo of a {}"]),
        clip.cache_key(NAMES, model, checkpoint, ["a {}"]),
        clip.cache_key(NAMES, "ViT-B-16", checkpoint, ["a photo of a {}"]),
        clip.cache_key(NAMES, model, "openai", ["a photo of a {}"]),
    }
    assert len(keys) == 5
    assert stored.stem in keys


def test_a_damaged_cache_is_made_again(tiny, tmp_path):
    model, checkpoint, _ = tiny
    first = clip.embed(NAMES, model, checkpoint, cache=tmp_path)
    (stored,) = tmp_path.glob("*.npy")
    stored.write_bytes(stored.read_bytes()[:50])
    assert (clip.embed(NAMES, model, checkpoint, cache=tmp_path) == first).all()
    assert (np.load(stored) == first).all()


def test_sets_of_templates_by_name():
    assert clip.template_set("paper") == ("a photo of a {}",)
    assert clip.template_set("a drawing of a {}") == ("a drawing of a {}",)
    assert len(clip.template_set("openai7")) == 7
    assert len(set(clip.template_set("openai80"))) == 80
    assert "a bad photo of a {}." in clip.template_set("openai80")
    with pytest.raises(HierarchyError, match="'eighty': choose paper, openai7 or openai80"):
        clip.template_set("eighty")


def test_the_command_writes_embeddings_of_any_model(tiny, tmp_path, monkeypatch, capsys):
    from hierlib.hierarchy import make

    model, checkpoint, net = tiny
    monkeypatch.setenv("HIERLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine.csv").write_text("wnid,name\na,tench\nb,goldfish\nc,great white shark\n")
    arguments = ["embeddings", "--classes", str(tmp_path / "mine.csv"), "--model", model, "--pretrained", checkpoint]
    assert make.main([*arguments, "--out", str(tmp_path / "mine.npy")]) == 0
    assert np.allclose(clip.load_embeddings(tmp_path / "mine.npy", 3), expected(net, "a photo of a {}"), atol=1e-5)
    assert "3 classes, 16 dimensions, 1 template" in capsys.readouterr().out
    assert make.main([*arguments, "--templates", "eighty", "--out", str(tmp_path / "other.npy")]) == 2
    assert not (tmp_path / "other.npy").exists()


def test_the_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HIERLIB_CACHE", str(tmp_path))
    assert clip._cache_folder() == tmp_path / "clip"


def test_the_laboratory_takes_any_model(tiny, tmp_path, monkeypatch):
    model, checkpoint, _ = tiny
    monkeypatch.setenv("HIERLIB_CACHE", str(tmp_path))
    vectors = laboratory.obtain(recompute=True, model=f"{model} {checkpoint} a sketch of a {{}}")
    prompts = classes("imagenet").prompts
    assert (vectors == clip.embed(prompts, model, checkpoint, "a sketch of a {}")).all()
    report = {"tiny-clip": laboratory.shipped_measures()["tiny-clip"]}
    monkeypatch.setattr(laboratory, "shipped_measures", lambda: report)
    again = laboratory.recomputed(vectors)  # random weights give groups of their own, and agreement says so
    assert again["agreement"].max() < 0.3
    with pytest.raises(HierarchyError, match="no model 'ViT-B-61'"):
        laboratory.obtain(recompute=True, model="ViT-B-61")


def test_unknown_models_weights_and_templates(tmp_path):
    with pytest.raises(HierarchyError, match="open_clip knows no model 'ViT-B-17': did you mean ViT-B-16"):
        clip.embed(NAMES, "ViT-B-17", cache=tmp_path)
    with pytest.raises(HierarchyError, match="no weights 'opanai' for ViT-B-16: it knows openai"):
        clip.embed(NAMES, pretrained="opanai", cache=tmp_path)
    with pytest.raises(HierarchyError, match=r"each needs \{\}"):
        clip.embed(NAMES, template="a photo", cache=tmp_path)
    with pytest.raises(HierarchyError, match="no class names"):
        clip.embed([], cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_network_it_says_so_at_once(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(clip, "_online", lambda: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))  # whatever this machine has downloaded before
    with pytest.raises(DataError, match=r"weights 'openai' of ViT-B-16 cannot be had \(no network.*\.npy file"):
        clip.embed(NAMES, cache=tmp_path / "clip")
    assert (os.environ.get("HF_HUB_OFFLINE", "") in ("1", "ON", "YES", "TRUE")) == constants.HF_HUB_OFFLINE
    assert not (tmp_path / "clip").exists()


def test_a_damaged_checkpoint_is_refused(tmp_path, tiny):
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(DataError, match="cannot be had"):
        clip.embed(NAMES, tiny[0], str(tmp_path / "bad.pt"), cache=tmp_path / "cache")


def test_embeddings_of_your_own(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.ones((3, 4)))
    assert clip.load_embeddings(path, 3).dtype == np.float32
    with pytest.raises(HierarchyError, match=r"holds \(3, 4\), expected floats \(5, D\)"):
        clip.load_embeddings(path, 5)
    np.save(path, np.array([[1.0, 2.0], [np.nan, 0.0]]))
    with pytest.raises(HierarchyError, match="row 1"):
        clip.load_embeddings(path, 2)
    path.write_text("no array")
    with pytest.raises(DataError, match="cannot be read"):
        clip.load_embeddings(path, 2)
    with pytest.raises(DataError, match="cannot be read"):
        laboratory.obtain(tmp_path / "missing.npy")
    assert laboratory.obtain() is None
