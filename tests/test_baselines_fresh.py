"""Files made for a budget: they fit, they are what their libraries decode, and a part of one shows nothing."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from hierlib import baselines
from hierlib.baselines.jpeg import BestJPEG, ProgressiveJPEG
from hierlib.baselines.search import Files, largest_within
from hierlib.codec.protocol import ProgressiveCodec
from hierlib.errors import BitstreamError, BudgetError, PictureError
from hierlib.images.pictures import demonstration, to_uint8

NAMES = ("webp-fresh", "avif-fresh", "jxl-fresh")


@pytest.fixture(scope="module")
def photograph():
    return demonstration(96, ("coffee",))["coffee"]


def error(image, photograph):
    return float((image - photograph).square().mean())


def test_bisection_finds_the_largest_that_fits():
    for limit in (1, 9, 10, 57, 990, 5000):
        sizes = [10 * q for q in range(1, 100) if 10 * q <= limit]
        assert len(largest_within(lambda q: bytes(10 * q), range(1, 100), limit)) == max(sizes, default=0)
    asked = []
    largest_within(lambda q: asked.append(q) or bytes(q), range(1024), 300)
    assert len(asked) <= 11
    with pytest.raises(BudgetError):
        largest_within(bytes, [1], 0)


def test_a_size_that_falls_never_breaks_the_budget():
    sizes = [10, 50, 20, 60, 30, 70]
    for limit in range(1, 80):
        assert len(largest_within(lambda q: bytes(sizes[q]), range(6), limit)) <= limit


def test_each_file_of_a_picture_is_made_once():
    made = []
    files = Files(lambda pixels, quality: made.append(quality) or bytes([int(pixels.mean()), quality]))
    black, white = torch.zeros(3, 2, 2), torch.ones(3, 2, 2)
    assert [files.of(black)(q) for q in (1, 2, 1)] == [b"\0\1", b"\0\2", b"\0\1"]
    assert made == [1, 2]
    assert files.of(white)(1) == b"\xff\1"
    assert files.of(torch.zeros(3, 1, 4))(1) == b"\0\1"
    assert made == [1, 2, 1, 1]


@pytest.mark.parametrize("name", NAMES)
def test_files_fit_and_get_better_with_the_budget(name, photograph):
    codec = baselines.load(name)
    assert isinstance(codec, ProgressiveCodec)
    assert codec.encode_within(photograph, 40) == b""
    errors = []
    for budget in (800, 1600, 3200):
        file = codec.encode_within(photograph, budget)
        assert 0.8 * budget < len(file) <= budget
        decoded = codec.decode(file)
        assert (decoded.complete, decoded.level, decoded.bytes_used) == (True, 1, len(file))
        errors.append(error(decoded.image, photograph))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.002


def test_the_decoders_are_the_libraries(photograph):
    imagecodecs = pytest.importorskip("imagecodecs")
    for name, decode in zip(NAMES, ("webp_decode", "avif_decode", "jpegxl_decode")):
        codec = baselines.load(name)
        file = codec.encode(photograph)
        wanted = getattr(imagecodecs, decode)(file)[..., :3].astype(int)
        # both are libwebp, libavif, libjxl, of releases that may round chroma differently
        assert np.abs(to_uint8(codec.decode(file).image) - wanted).mean() < 1.5, name


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_a_file_shows_nothing_and_strange_bytes_are_refused(name, photograph):
    codec = baselines.load(name)
    file = codec.encode(photograph)
    for cut in (*range(40), *range(40, len(file), 331), len(file) - 1):
        decoded = codec.decode(file[:cut])
        assert (decoded.level, decoded.complete, tuple(decoded.image.shape)) == (0, False, (3, 1, 1))
    with pytest.raises(BitstreamError, match=name):
        codec.decode(b"these bytes are no picture at all")
    with pytest.raises(BitstreamError, match=name):
        codec.decode(ProgressiveJPEG().encode(photograph))
    with pytest.raises(PictureError):
        codec.encode(torch.zeros(1, 8, 8))


def test_the_best_jpeg_is_at_least_as_near_as_any_quality(photograph):
    best = BestJPEG()
    for budget in (150, 500, 900, 2500):
        file = best.encode_within(photograph, budget)
        assert len(file) <= budget
        reached = error(best.decode(file).image, photograph)
        for quality in (5, 25, 50, 80):
            other = ProgressiveJPEG(quality)
            shown = other.decode(other.encode(photograph)[:budget]).image
            assert reached <= error(shown if shown.shape == photograph.shape else 0.5, photograph) + 1e-9
    assert Image.open(io.BytesIO(best.encode(photograph))).size == (96, 96)
    with pytest.raises(BudgetError):
        best.encode_within(photograph, 0)


def test_names():
    for name in baselines.KNOWN:
        assert baselines.classical(name)
        if name != "zoo":  # needs weights, which training makes
            assert baselines.load(name).name == ("jpeg-75" if name == "jpeg" else name)
    assert baselines.classical("jpeg-96")
    assert not baselines.classical("tiny")
    assert not baselines.classical("jpegs.safetensors")
