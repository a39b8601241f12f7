"""Layered JPEG 2000: the packets found agree with OpenJPEG's own table, and no cut is black, garbled or an error."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from hierlib import baselines
from hierlib.baselines.jpeg2000 import FreshJPEG2000, LayeredJPEG2000
from hierlib.baselines.packets import packets
from hierlib.codec.protocol import ProgressiveCodec, block_ends
from hierlib.errors import BitstreamError, BudgetError, HierlibError, PictureError
from hierlib.images.pictures import demonstration, from_array, to_uint8


@pytest.fixture(scope="module")
def photograph():
    return demonstration(96, ("chelsea",))["chelsea"]


def psnr_db(a, b):
    mse = np.mean((to_uint8(a).astype(float) - to_uint8(b).astype(float)) ** 2)
    return 10 * np.log10(255**2 / mse) if mse else np.inf


def resized(image, width, height):
    return from_array(np.asarray(Image.fromarray(to_uint8(image)).resize((width, height), Image.Resampling.LANCZOS)))


def openjpeg_packet_ends(image, rates, resolutions):
    """Codestream with a PLT marker, the position of its first packet, and the packet ends that the marker lists."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(
        buffer,
        "JPEG2000",
        quality_mode="rates",
        quality_layers=list(rates),
        num_resolutions=resolutions,
        progression="LRCP",
        irreversible=True,
        plt=True,
        no_jp2=True,
    )
    codestream, position, lengths, value = buffer.getvalue(), 2, [], 0
    while codestream[position : position + 2] != b"\xff\x93":
        length = struct.unpack(">H", codestream[position + 2 : position + 4])[0]
        if codestream[position : position + 2] == b"\xff\x58":
            for byte in codestream[position + 5 : position + 2 + length]:
                value = value * 128 + (byte & 127)
                if byte < 128:
                    lengths.append(value)
                    value = 0
        position += 2 + length
    return codestream, position + 2, (np.cumsum(lengths) + position + 2).tolist()


@pytest.mark.parametrize(
    ("width", "height", "resolutions"),
    [(1, 1, 1), (1, 7, 1), (5, 5, 3), (16, 16, 5), (63, 65, 6), (200, 131, 6), (300, 9, 4), (257, 190, 2)],
)
@pytest.mark.parametrize("rates", [np.geomspace(300, 1, 20), np.geomspace(60, 3, 5), [1]], ids=["20", "5", "1"])
def test_packets_end_where_openjpeg_says(photograph, width, height, resolutions, rates):
    image = resized(photograph, width, height)
    codestream, start, ends = openjpeg_packet_ends(image, rates, resolutions)
    assert len(ends) == len(rates) * resolutions * 3

    def found(content):
        return [p.end for p in packets(content, start, width, height, len(rates), resolutions, (64, 64))]

    assert found(codestream) == ends
    for cut in range(start, len(codestream), max(1, len(codestream) // 40)):
        assert found(codestream[:cut]) == [end for end in ends if end <= cut]


def test_whole_stream_is_what_pillow_decodes(photograph):
    codec = LayeredJPEG2000()
    stream = codec.encode(photograph)
    decoded = codec.decode(stream)
    assert decoded.complete
    assert decoded.bytes_used == len(stream)
    assert (decoded.symbols, decoded.level) == (decoded.symbols_total, len(codec.level_ends(stream)))
    assert np.array_equal(to_uint8(decoded.image), np.asarray(Image.open(io.BytesIO(stream)).convert("RGB")))


def test_only_the_comment_is_left_out_of_pillows_file(photograph):
    ours = LayeredJPEG2000(rates=[40, 10, 4]).encode(photograph)
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(photograph)).save(
        buffer,
        "JPEG2000",
        quality_mode="rates",
        quality_layers=[40, 10, 4],
        num_resolutions=4,
        irreversible=True,
        mct=1,
        no_jp2=True,
    )
    theirs = buffer.getvalue()
    comment = theirs.index(b"\xff\x64")
    length = 2 + int.from_bytes(theirs[comment + 2 : comment + 4], "big")
    assert ours == theirs[:comment] + theirs[comment + length :]


def test_psnr_climbs_from_layer_to_layer_and_no_cut_is_black(photograph):
    codec = LayeredJPEG2000()
    stream = codec.encode(photograph)
    ends = block_ends(codec, stream)
    assert len(ends) == 16
    quality = [psnr_db(codec.decode(stream[:end]).image, photograph) for end in ends]
    assert quality == sorted(quality)
    assert quality[-1] > 35
    grey = psnr_db(torch.full_like(photograph, 0.5), photograph)
    cuts = range(len(stream) // 50, len(stream), len(stream) // 50)
    at_cuts = [psnr_db(d.image, photograph) for d in codec.decode_cuts(stream, list(cuts))]
    assert min(at_cuts) >= grey - 1e-9
    assert np.diff(at_cuts).min() > -0.2  # within a layer a packet of chroma may cost a little, garbage costs dBs


def test_a_cut_keeps_exactly_the_packets_before_it(photograph):
    codec = LayeredJPEG2000(layers=6)
    stream = codec.encode(photograph)
    end = codec.level_ends(stream)[2]
    at, before, after = (codec.decode(stream[:n]) for n in (end, end - 1, end + 1))
    assert (before.level, at.level, after.level) == (2, 3, 3)
    assert torch.equal(at.image, after.image)
    assert at.bytes_used == after.bytes_used == end
    assert before.bytes_used < end
    assert not after.complete


@pytest.mark.parametrize(("width", "height"), [(16, 12), (1, 1)])
def test_every_byte_cut_decodes(photograph, width, height):
    image = resized(photograph, width, height)
    codec = LayeredJPEG2000(layers=4)
    stream = codec.encode(image)
    ladder = codec.decode_cuts(stream, list(range(len(stream) + 1)))
    symbols = [decoded.symbols for decoded in ladder]
    assert symbols == sorted(symbols)
    assert [d.complete for d in ladder] == [False] * len(stream) + [True]
    for cut, decoded in enumerate(ladder):
        alone = codec.decode(stream[:cut])
        assert torch.equal(alone.image, decoded.image)
        assert alone.image.shape == ((3, height, width) if cut >= 16 else (3, 1, 1))
        assert replace(alone, image=decoded.image) == decoded
        assert alone.bytes_used <= cut
        if not alone.symbols:
            assert (alone.image == 0.5).all()


def test_sizes_with_odd_sides(photograph):
    codec = LayeredJPEG2000()
    for width, height in [(1, 1), (1, 40), (2, 3), (17, 64), (64, 64), (131, 77)]:
        image = resized(photograph, width, height)
        decoded = codec.decode(codec.encode(image))
        assert decoded.image.shape == (3, height, width)
        assert psnr_db(decoded.image, image) > 22


def test_fresh_file_fits_its_budget_and_beats_the_cut(photograph):
    fresh, layered = FreshJPEG2000(), LayeredJPEG2000()
    stream = layered.encode(photograph)
    assert fresh.encode_within(photograph, 40) == b""
    for budget in (250, 600, 1500):
        file = fresh.encode_within(photograph, budget)
        assert 0.9 * budget < len(file) <= budget
        decoded = fresh.decode(file)
        assert decoded.complete
        assert psnr_db(decoded.image, photograph) > psnr_db(layered.decode(stream[:budget]).image, photograph)


def test_damage_is_a_typed_error(photograph):
    codec = LayeredJPEG2000(layers=3)
    stream = bytearray(codec.encode(resized(photograph, 32, 32)))
    for damaged in (
        b"not a codestream",
        b"\xff\xd8\xff\xe0" + bytes(40),
        bytes(stream) + b"x",
        bytes(stream[:-2]) + b"\0\0",
    ):
        with pytest.raises(BitstreamError):
            codec.decode(damaged)
    rng = np.random.default_rng(0)
    for position in [*range(2, 120), *rng.integers(120, len(stream), 100)]:
        broken = stream.copy()
        broken[position] ^= 1 << int(rng.integers(8))
        try:
            decoded = codec.decode(bytes(broken))
        except BitstreamError:
            continue
        assert decoded.image.shape[0] == 3  # a flipped bit in a body cannot be noticed


def test_wrong_settings_and_pictures():
    for wrong in ({"layers": 0}, {"rates": []}, {"rates": [0.5]}, {"layers": 2, "rates": [10]}):
        with pytest.raises(BudgetError):
            LayeredJPEG2000(**wrong)
    with pytest.raises(PictureError):
        LayeredJPEG2000().encode(torch.full((3, 4, 4), 200.0))
    with pytest.raises(BudgetError):
        FreshJPEG2000().encode_within(torch.zeros(3, 4, 4), 0)


def test_peers_are_loaded_by_name():
    for name in ("jpeg2000", "jpeg2000-fresh", "jpeg", "jpeg-30"):
        assert isinstance(baselines.load(name), ProgressiveCodec)
    assert baselines.load("jpeg-30").quality == 30
    with pytest.raises(HierlibError, match="jpeg2000-fresh"):
        baselines.load("jpeg3000")
    with pytest.raises(BudgetError):
        baselines.load("jpeg-96")


def test_the_colour_transform_is_on(photograph):
    """Pillow's default codes red, green and blue apart: a handicap of decibels that no comparison may have."""
    stream = LayeredJPEG2000().encode(photograph)
    cod = stream.index(b"\xff\x52") + 4
    assert stream[cod + 4] == 1  # SGcod: progression, layers (2), multiple component transform
    file = FreshJPEG2000().encode_within(photograph, 1000)
    buffer = io.BytesIO()
    plain = Image.fromarray(to_uint8(photograph))
    layers = [photograph.numel() / 1000]
    plain.save(buffer, "JPEG2000", quality_mode="rates", quality_layers=layers, irreversible=True, no_jp2=True)
    without = torch.from_numpy(np.asarray(Image.open(buffer)).copy()).permute(2, 0, 1) / 255
    assert psnr_db(FreshJPEG2000().decode(file).image, photograph) > psnr_db(without, photograph) + 1
