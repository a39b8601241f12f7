"""CompressAI's architectures as members: the library's own numbers, damaged files refused, training that saves."""

import random

import pytest
import torch

from hierlib import baselines
from hierlib.baselines import zoo
from hierlib.codec.protocol import ProgressiveCodec
from hierlib.errors import BitstreamError, CheckpointError, PictureError, RecipeError
from hierlib.images.pictures import demonstration
from hierlib.training.start import start

SIZES = {
    "bmshj2018-factorized": {"N": 8, "M": 12},
    "bmshj2018-hyperprior": {"N": 8, "M": 12},
    "mbt2018-mean": {"N": 8, "M": 12},
    "mbt2018": {"N": 8, "M": 12},
    "cheng2020-anchor": {"N": 8},
}


def picture(height: int, width: int) -> torch.Tensor:
    return demonstration(128, ("coffee",))["coffee"][:, :height, :width]


def made(architecture: str, path, seed: int = 0) -> zoo.ZooCodec:
    torch.manual_seed(seed)
    network = zoo.build(architecture, **SIZES[architecture])
    if hasattr(network, "g_a"):
        torch.nn.init.normal_(
            network.g_a[-1].bias, std=3
        )  # an untrained latent is all zeros: give it something to code
    zoo.save(path, network, architecture, SIZES[architecture], {"name": f"toy-{architecture}"})
    return zoo.ZooCodec.from_file(path)


@pytest.mark.parametrize("architecture", SIZES)
def test_whole_file_shows_what_the_library_shows(architecture, tmp_path):
    codec = made(architecture, tmp_path / "zoo.safetensors")
    assert isinstance(codec, ProgressiveCodec)
    image = picture(70, 100)
    file = codec.encode(image)
    strings = codec.network.compress(torch.nn.functional.pad(image[None], padding(codec, image), mode="replicate"))
    theirs = codec.network.decompress(strings["strings"], strings["shape"])["x_hat"][0, :, :70, :100].clamp(0, 1)
    decoded = codec.decode(file)
    assert decoded.complete
    assert torch.equal(decoded.image, theirs)
    payload = sum(len(string[0]) for string in strings["strings"])
    assert payload + 10 <= len(file) <= payload + 20  # header 8, a length each, check 4
    assert decoded.bytes_used == len(file)


def padding(codec, image):
    factor = codec.network.downsampling_factor
    return (0, -image.shape[2] % factor, 0, -image.shape[1] % factor)


def test_less_than_the_file_shows_grey_and_damage_is_refused(tmp_path):
    codec = made("mbt2018-mean", tmp_path / "zoo.safetensors")
    file = codec.encode(picture(64, 64))
    for n in range(len(file)):
        shown = codec.decode(file[:n])
        assert not shown.complete
        assert (shown.image == 0.5).all()
    draw = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(file)
        damaged[draw.randrange(len(file))] ^= 1 << draw.randrange(8)
        try:
            assert not codec.decode(bytes(damaged)).complete  # a length that grew: the rest is still awaited
        except BitstreamError:
            refused += 1
    assert refused > 250
    with pytest.raises(BitstreamError, match="follow the end"):
        codec.decode(file + b"\0")
    other = made("mbt2018-mean", tmp_path / "other.safetensors", seed=1)
    with pytest.raises(BitstreamError, match="made by model"):
        other.decode(file)


def test_bad_weights_names_and_pictures_are_said(tmp_path):
    path = tmp_path / "zoo.safetensors"
    codec = made("mbt2018-mean", path)
    assert baselines.classical(str(path))
    assert baselines.load(str(path)).fingerprint == codec.fingerprint
    with pytest.raises(CheckpointError, match="has no architecture nobody"):
        zoo.build("nobody", N=8, M=12)
    with pytest.raises(CheckpointError):
        baselines.load(str(tmp_path / "missing-zoo.safetensors"))
    codec.max_pixels = 100
    with pytest.raises(PictureError, match="takes 100"):
        codec.encode(picture(64, 64))


def test_training_writes_weights_that_code(tmp_path, monkeypatch):
    from dataclasses import replace

    from hierlib.training.zoo import ZOO

    monkeypatch.setitem(ZOO, "ci-zoo", replace(ZOO["ci-zoo"], pictures="shapes:40", steps=6, batch_size=4))
    path = start("ci-zoo", tmp_path)
    codec = baselines.load(str(path))
    image = picture(64, 64)
    assert codec.decode(codec.encode(image)).image.shape == image.shape
    again = start("ci-zoo", tmp_path)  # nothing left to do: the same weights
    assert baselines.load(str(again)).fingerprint == codec.fingerprint
    with pytest.raises(RecipeError, match="all that decides its weights"):
        start("ci-zoo", tmp_path, steps=3)
