"""Progressive JPEG: every prefix is what Pillow shows with its global switch for cut files, without that switch."""

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from hierlib.baselines.jpeg import ProgressiveJPEG
from hierlib.errors import BitstreamError, BudgetError
from hierlib.images.pictures import demonstration, to_uint8


@pytest.fixture(scope="module")
def photograph():
    return demonstration(72, ("coffee",))["coffee"]


def pillow(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def test_whole_file_is_what_pillow_decodes(photograph):
    codec = ProgressiveJPEG(60)
    file = codec.encode(photograph)
    decoded = codec.decode(file)
    assert Image.open(io.BytesIO(file)).info["progressive"]
    assert decoded.complete
    assert decoded.bytes_used == len(file)
    assert decoded.level == len(codec.level_ends(file)) + 1
    assert np.array_equal(to_uint8(decoded.image), pillow(file))


def test_cuts_inside_scans_equal_pillows_switch(photograph, monkeypatch):
    codec = ProgressiveJPEG(60)
    file = codec.encode(photograph)
    ends = codec.level_ends(file)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    wanted = {end - back: pillow(file[: end - back]) for end in ends for back in (5, 11)}
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    for cut, picture in wanted.items():
        decoded = codec.decode(file[:cut])
        assert np.array_equal(to_uint8(decoded.image), picture)
        assert decoded.level == sum(end <= cut for end in ends)
        assert not decoded.complete
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_error_falls_from_scan_to_scan(photograph):
    codec = ProgressiveJPEG(75)
    file = codec.encode(photograph)
    ends = codec.level_ends(file)
    assert len(ends) == 9
    ladder = [codec.decode(file[:end]) for end in (*ends, len(file))]
    assert [decoded.level for decoded in ladder] == list(range(1, 11))
    errors = [float(((decoded.image - photograph) ** 2).mean()) for decoded in ladder]
    assert all(later < earlier * 1.001 for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 0.1 * float(((0.5 - photograph) ** 2).mean())


def test_every_byte_cut_decodes(photograph):
    codec = ProgressiveJPEG(30)
    file = codec.encode(photograph[:, :24, :33])
    levels = []
    for cut in range(len(file) + 1):
        decoded = codec.decode(file[:cut])
        levels.append(decoded.level)
        assert decoded.bytes_used <= cut
        assert decoded.complete == (cut == len(file))
        assert decoded.image.shape in ((3, 24, 33), (3, 1, 1))
        if decoded.bytes_used == 0:
            assert (decoded.image == 0.5).all()
    assert levels == sorted(levels)


def test_damage_and_settings(photograph):
    codec = ProgressiveJPEG()
    file = codec.encode(photograph)
    baseline = io.BytesIO()
    Image.fromarray(to_uint8(photograph)).save(baseline, "JPEG")
    for damaged in (b"GIF89a", b"\xff\xd8junk of some length", baseline.getvalue(), file[:20] + bytes(30) + file[50:]):
        with pytest.raises(BitstreamError):
            codec.decode(damaged)
    for quality in (0, 96):
        with pytest.raises(BudgetError):
            ProgressiveJPEG(quality)
    assert codec.decode(codec.encode(torch.rand(3, 1, 1))).image.shape == (3, 1, 1)
