"""FORMAT.md is enough: a decoder and an encoder written from it alone agree with hierlib, byte by byte."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import accumulate, pairwise

import format_reference as reference
import numpy as np
import pytest
import torch
from vectors.make import HERE, load

from hierlib.codec.model import HierCodec
from hierlib.codec.rangecoder import Encoder
from hierlib.codec.tables import Tables
from hierlib.codec.weights import locate
from hierlib.errors import BitstreamError
from hierlib.images.shapes import shapes

MODELS = ("toy", "tiny")


@lru_cache
def files(model: str) -> reference.Weights:
    own = HERE / f"{model}.safetensors"
    return reference.Weights(own if own.exists() else locate(model))


@lru_cache
def codec(model: str) -> HierCodec:
    return load(model)


def both_refuse(data: bytes, model: str) -> bool:
    """Whether this is damage; asserts that hierlib and the reference agree on it."""
    try:
        assert reference.facts(data, files(model))["values"] == values(data, model)
    except reference.Damage:
        with pytest.raises(BitstreamError):
            codec(model).decode(data)
        return True
    return False


def values(data: bytes, model: str) -> list[str]:
    received = codec(model).decoder().feed(data)
    return [reference.digest(block.q) for block in received.blocks if block.begun_bytes is not None]


def complete_blocks(data: bytes, model: str) -> int:
    return sum(len(block.q) == len(block.order) for block in reference.decode(data, files(model)).blocks)


@pytest.mark.parametrize("model", MODELS)
def test_every_cut_of_the_vectors_means_the_same_to_a_stranger(model: str) -> None:
    held = json.loads((HERE / model / "vectors.json").read_text())
    assert files(model).fingerprint.hex() == held["fingerprint"]
    assert list(files(model).config.blocks) == held["blocks"]
    for vector in held["vectors"]:
        stream = (HERE / model / vector["stream"]).read_bytes()
        for cut in vector["cuts"]:
            assert reference.facts(stream[: cut["bytes"]], files(model)) == cut, vector["stream"]


@pytest.mark.parametrize("model", MODELS)
def test_the_trailer_says_where_the_parts_end(model: str) -> None:
    for path in sorted((HERE / model).glob("*.c2f")):
        stream = path.read_bytes()
        decoded = reference.decode(stream, files(model))
        assert list(accumulate(decoded.lengths_bytes)) == decoded.ends_bytes[1:], path.name
        _, check, *ends = decoded.ends_bytes
        assert len(reference.decode(stream[:check], files(model)).blocks) == 1
        assert not reference.decode(stream[: check - 1], files(model)).blocks
        for j, end in enumerate(ends):  # the last symbol of a block is settled with its last byte, and not before
            assert complete_blocks(stream[:end], model) > j, path.name
            assert complete_blocks(stream[: end - 1], model) <= j, path.name


def test_a_flipped_byte_of_the_trailer_is_refused_by_both() -> None:
    stream = (HERE / "toy" / "square.c2f").read_bytes()
    begin = reference.decode(stream, files("toy")).ends_bytes[-1]
    for at in range(begin, len(stream)):
        assert both_refuse(stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1 :], "toy"), at
    assert both_refuse(stream + b"\0", "toy")


@pytest.mark.parametrize(
    ("start", "refused"),
    [
        (b"", False),
        (b"\xc3", True),
        (b"\xc2\xf2", True),
        (b"\xc2\xf1...\x7f", True),  # another model
        (b"\xc2\xf1FFF\xff\xff\xff\xff", False),  # ends inside the header
        (b"\xc2\xf1FFF\xff\xff\xff\xff\xff", True),  # a varint of six bytes
        (b"\xc2\xf1FFF\xff\x59", False),  # 5760 x 5760
        (b"\xc2\xf1FFF\x81\x5a", True),  # 5761 x 5761: padded more than 2^25 pixels
        (b"\xc2\xf1FFF\xfe\xff\xff\x07\x00", True),  # a line of 2^23 pixels, padded 64 times as many
    ],
)
def test_headers(start: bytes, refused: bool) -> None:
    data = start.replace(b"FFF", files("toy").fingerprint)
    assert both_refuse(data, "toy") == refused


def test_junk_is_read_alike_or_refused_by_both() -> None:
    random = np.random.default_rng(7)
    stream = (HERE / "toy" / "exceptions.c2f").read_bytes()
    head, refused = stream[:6], []
    for _ in range(40):
        junk = random.choice([*range(256)] + 200 * [0, 255], size=random.integers(1, 60)).astype(np.uint8).tobytes()
        refused.append(both_refuse(head + junk, "toy"))
    for at in random.integers(len(head), 400, 40):
        damaged = stream[:at] + bytes([random.integers(256)]) + stream[at + 1 : random.integers(at, 600)]
        refused.append(both_refuse(damaged, "toy"))
    assert 0 < sum(refused) < len(refused)


def test_fresh_streams_cut_at_random() -> None:
    random, drawn = np.random.default_rng(3), shapes(6, seed=29)
    wide = torch.cat([drawn[2], drawn[3]], 2)[:, :50, :100]
    for image in (drawn[0], drawn[1], wide):
        stream = codec("tiny").encode(image)
        for cut in [*random.integers(0, len(stream), 12), len(stream)]:
            mine, received = reference.decode(stream[:cut], files("tiny")), codec("tiny").decoder().feed(stream[:cut])
            begun = [block for block in received.blocks if block.begun_bytes is not None]
            assert len(mine.blocks) == len(begun)
            for block, theirs in zip(mine.blocks, begun):
                assert np.array_equal(block.index, theirs.index)
                assert np.array_equal(block.grid, theirs.mu)
                assert np.array_equal(block.q, theirs.q)
            if mine.size is not None:
                shown = reference.picture(files("tiny"), mine)
                assert np.abs(shown - received.picture().image.numpy()).max() < 1e-5
        assert mine.lengths_bytes is not None


class RangeEncoder:
    """Section 2 with one number for all bytes: nothing has to be carried."""

    def __init__(self) -> None:
        self.low, self.range, self.written = 0, 2**32 - 1, 0

    def put(self, start: int, size: int) -> None:
        unit = self.range >> 16
        self.low, self.range = self.low + unit * start, unit * size
        while self.range < 2**24:
            self.low, self.range, self.written = self.low << 8, self.range << 8, self.written + 1

    def bits(self, number: int, count: int) -> None:
        for i in reversed(range(count)):
            self.put(32768 * (number >> i & 1), 32768)

    def value(self, v: int, low: int, cumulative: list[int]) -> None:
        """Section 3: one integer under a row, escaped where it must be."""
        escape, s = len(cumulative) - 2, v - low
        k = s if 0 <= s < escape else escape
        self.put(cumulative[k], cumulative[k + 1] - cumulative[k])
        if k == escape:
            f = 2 * (s - escape) if s >= escape else 2 * (-1 - s) + 1
            L = (f + 1).bit_length() - 1
            self.bits(0, L)
            self.bits(f + 1, L + 1)

    def finish(self) -> bytes:
        for c in range(1, 5):
            step = 256 ** (4 - c)
            v = -(-self.low // step) * step
            if v + step - 1 < self.low + self.range:
                break
        return (v // step).to_bytes(self.written + c, "big")


def random_row(random: np.random.Generator) -> np.ndarray:
    """Frequencies, each at least 1, that sum to 65,536; many so skewed that carries run through 0xFF bytes."""
    shares = random.dirichlet(np.full(random.integers(2, 40), 10.0 ** random.uniform(-3, 1)))
    row = 1 + np.floor(shares * (65536 - len(shares))).astype(np.int64)
    row[row.argmax()] += 65536 - row.sum()
    return row


@pytest.mark.parametrize("seed", range(12))
def test_a_strangers_range_encoder_writes_the_same_bytes(seed: int) -> None:
    random = np.random.default_rng(seed)
    frequencies, count = [random_row(random) for _ in range(9)], random.integers(0, 400)
    lows = random.integers(-20, 5, 9)
    plain = [(int(low), [0, *accumulate(row.tolist())]) for low, row in zip(lows, frequencies, strict=True)]
    rows, many = random.integers(0, 9, count), random.integers(-25, 25, count)
    many[random.random(count) < 0.02] = random.integers(-(2**22) + 1, 2**22)
    mine, theirs = RangeEncoder(), Encoder()
    for v, row in zip(many.tolist(), rows, strict=True):
        mine.value(v, *plain[row])
    mine.bits(int(seed) * 2**20 + 5, 30)
    theirs.put_values(many, rows, Tables(frequencies, lows))
    theirs.put_bits(int(seed) * 2**20 + 5, 30)
    data = mine.finish()
    assert data == theirs.finish()
    decoder = reference.RangeDecoder(data + random.bytes(3))
    assert [reference.value(decoder, *plain[row]) for row in rows] == many.tolist()
    assert decoder.bits(30) == seed * 2**20 + 5
    assert decoder.needed_bytes() == len(data)


def test_hierlib_decodes_what_a_strangers_encoder_wrote() -> None:
    """Exceptions that change what was computed, escapes in z and y, and no picture that this would be the stream of."""
    ours, random = files("toy"), np.random.default_rng(5)
    size, head = (70, 64), b"\xc2\xf1" + files("toy").fingerprint + bytes([2 * 63, 69])
    z, coder = random.integers(-60, 60, len(ours.z) * 2).tolist(), RangeEncoder()
    for at, v in enumerate(z):
        coder.value(v, *ours.z[at // 2])
    check, written = reference.crc(0, [*size], z), []
    network, y_hat = reference.Parameters(ours, size, z), np.zeros((ours.config.M, 8, 4))
    for j, (first, last) in enumerate(pairwise((0, *ours.config.blocks))):
        index, grid = reference.integers(*network.block(j, y_hat))
        coder.put(65535, 1)
        coder.bits(2, 24)
        for place, new_index, new_grid in ((0, 63 - index.flat[0], -1000 * 256), (index.size - 1, 7, 2**39 - 1)):
            coder.bits(place, 32)
            coder.bits(int(new_index), 6)
            coder.bits(new_grid + 2**39 - 1, 40)
            index.flat[place], grid.flat[place] = new_index, new_grid
        check = reference.crc(check, index, grid)
        coder.bits(check & 255, 8)
        block = reference.Block(index, grid, reference.coding_order(index, reference.spread(8, 4)))
        block.q = random.integers(-9, 9, index.size).tolist()
        for element, v in zip(block.order, block.q, strict=True):
            coder.value(v, *ours.y[index.flat[element]])
        check = reference.crc(check, block.q)
        y_hat[first:last] = reference.reconstructed(block)
        written.append(block)
    received = codec("toy").decoder().feed(head + coder.finish())
    for block, theirs in zip(written, received.blocks, strict=True):
        assert np.array_equal(block.index, theirs.index)
        assert np.array_equal(block.grid, theirs.mu)
        assert np.array_equal(block.q, theirs.q)
