"""CompressAI's conventions: forward's dicts, its loss, the hub's save and load; and the same streams afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import hierlib
from hierlib.codec.config import MICRO
from hierlib.codec.trainable import TrainableCodec
from hierlib.errors import CheckpointError
from hierlib.images.shapes import shapes


def test_forward_is_compressais_dict_for_every_level() -> None:
    from compressai.losses import RateDistortionLoss

    model = TrainableCodec(MICRO).train()
    x = shapes(2).batch(range(2))
    out = model(x)
    assert [level["likelihoods"]["y"].shape for level in out] == [(2, k, 4, 4) for k in MICRO.blocks]
    assert all(level["likelihoods"]["z"].shape == (2, MICRO.N_hyper, 1, 1) for level in out)
    losses = [RateDistortionLoss(lmbda=0.01)(level, x) for level in out]
    rates = [loss["bpp_loss"].item() for loss in losses]
    assert rates == sorted(rates)
    (losses[-1]["loss"] + model.aux_loss()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert len(model(x, levels=1)) == 1


def test_its_rate_is_that_of_the_stream_and_its_picture_that_of_the_decoder() -> None:
    model, pictures = TrainableCodec.from_file("tiny"), shapes(6)
    codec, estimated, ideal = model.codec(), 0.0, 0.0
    for image in pictures.batch(range(6)):
        with torch.no_grad():
            out = model(image[None])
        stream, bits = codec.encode_with_estimate(image)
        estimated += sum(float(-torch.log2(p).sum()) for p in out[-1]["likelihoods"].values())
        ideal += bits
    assert estimated == pytest.approx(ideal, rel=0.02)  # of one drawn picture up to 8 %: tables have another floor
    for end, level in zip(codec.level_ends(stream), out):
        shown = codec.decode(stream[:end])
        difference = (shown.image - level["x_hat"][0].clamp(0, 1)).abs()  # mu on its grid, float64, other roundings
        assert difference.mean() < 0.005
        assert difference.max() < 0.1


@pytest.mark.parametrize("name", ["tiny", "tiny-plain"])  # float32, float16
def test_saved_and_loaded_it_writes_the_same_streams(tmp_path: Path, name: str) -> None:
    model, image = TrainableCodec.from_file(name), shapes(1)[0]
    model.save_pretrained(tmp_path)
    assert {"config.json", "model.safetensors"} <= {path.name for path in tmp_path.iterdir()}
    again = TrainableCodec.from_pretrained(tmp_path)
    assert again.about["name"] == model.about["name"]
    streams = {c.encode(image) for c in (model.codec(), again.codec(), hierlib.load(tmp_path), hierlib.load(name))}
    assert len(streams) == 1


def test_weights_of_float16_that_were_trained_on_are_saved_as_they_are(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    model = TrainableCodec.from_file("tiny-plain")
    with torch.no_grad():
        model.network.g_s[0].bias.add_(1e-7)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")["network.g_s.0.bias"]
    assert torch.equal(saved, model.network.g_s[0].bias)


def test_training_it_changes_no_codec_made_before() -> None:
    model, image = TrainableCodec(MICRO), shapes(1)[0]
    codec = model.codec()
    stream = codec.encode(image)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    assert codec.encode(image) == stream


def test_what_is_no_codec_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="could not be fetched from the Hugging Face hub"):
        hierlib.load("nobody/nothing")
    with pytest.raises(CheckpointError, match=r"There is no weights file .*model\.safetensors"):
        hierlib.load(tmp_path)
    tensors, about = {"network.g_a.0.weight": torch.zeros(1)}, {"config": MICRO.to_json()}
    path = tmp_path / "model.safetensors"
    save_file(tensors, path, metadata={"kind": "hierlib-codec", "about": json.dumps(about)})
    with pytest.raises(CheckpointError, match="does not fit"):
        TrainableCodec.from_file(path)
