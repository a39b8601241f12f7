"""The receiving end: fed in pieces it shows what the whole prefix shows, and does no work twice."""

from __future__ import annotations

import pytest
import torch
from codec_toys import toy_codec

from hierlib.codec.model import HierCodec
from hierlib.errors import BitstreamError
from hierlib.images.shapes import shapes


@pytest.fixture(scope="module")
def codec() -> HierCodec:
    return toy_codec()


@pytest.fixture(scope="module")
def stream(codec: HierCodec) -> bytes:
    return codec.encode(shapes(3, seed=5)[1])


@pytest.mark.parametrize("chunk", [1, 7, 150, 10_000])
def test_fed_in_pieces_it_shows_what_the_prefix_shows(codec: HierCodec, stream: bytes, chunk: int) -> None:
    decoder = codec.decoder()
    for at in range(0, len(stream), chunk):
        decoder.feed(stream[at : at + chunk])
        if at % 97 < chunk or at + chunk >= len(stream):
            mine, whole = decoder.picture(), codec.decode(stream[: at + chunk])
            assert torch.equal(mine.image, whole.image)
            assert (mine.level, mine.symbols, mine.bytes_used) == (whole.level, whole.symbols, whole.bytes_used)
    assert decoder.picture().complete
    assert len(decoder) == len(stream)
    assert decoder.level_ends == codec.level_ends(stream)


def test_the_first_picture_depends_on_the_size_alone_and_stays_until_eight_symbols_are_there(codec: HierCodec) -> None:
    drawn, openings = shapes(3, seed=5), []
    for number in (1, 2):
        received = codec.decoder().feed(codec.encode(drawn[number]))
        assert received.header is not None
        first = next(cut for cut in range(len(received)) if received.counts_at(cut)[0] >= 8)
        cuts = range(received.header.length_bytes, first + 1)
        *opening, begun = [received.picture_at(cut) for cut in cuts]
        assert all(torch.equal(decoded.image, opening[0].image) for decoded in opening)
        assert {(decoded.level, decoded.bytes_used) for decoded in opening} == {(0, cuts[0])}
        assert opening[-1].symbols in range(1, 8)  # there, but not shown
        assert begun.bytes_used == first
        assert not torch.equal(begun.image, opening[0].image)
        openings.append(opening[0].image)
    assert torch.equal(*openings)


def test_a_first_block_of_fewer_symbols_is_shown_when_it_is_whole(
    codec: HierCodec, stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "opening_symbols", 10**9)
    whole = codec.decoder().feed(stream)
    before, after = (whole.picture_at(whole.block_ends[0] + at).bytes_used for at in (-1, 0))
    assert before == (whole.header.length_bytes if whole.header else None)
    assert after == whole.block_ends[0]


def test_no_block_is_walked_twice_and_no_picture_made_twice(
    codec: HierCodec, stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[int] = []
    drawn: list[int] = []
    head, synthesise = codec.network.entropy.parameters_net.forward, codec.synthesise
    monkeypatch.setattr(
        codec.network.entropy.parameters_net,
        "forward",
        lambda features, block, *rows: walked.append(block) or head(features, block, *rows),
    )
    monkeypatch.setattr(codec, "synthesise", lambda *arguments: drawn.append(1) or synthesise(*arguments))
    decoder = codec.decoder().feed(stream[:9])  # inside z
    assert decoder.picture().image is decoder.picture().image
    assert (walked, drawn) == ([0], [1])
    walked.clear()
    drawn.clear()
    decoder = codec.decoder()
    for at in range(len(stream)):
        decoder.feed(stream[at : at + 1])
    assert walked == [0, 1, 2]
    first = decoder.picture().image
    assert decoder.feed(b"").picture().image is first
    assert len(drawn) == 1


def test_what_cannot_be_a_stream_fails_and_keeps_failing(codec: HierCodec, stream: bytes) -> None:
    decoder = codec.decoder()
    with pytest.raises(BitstreamError, match="no hierlib stream"):
        decoder.feed(b"GIF89a")
    with pytest.raises(BitstreamError, match="no hierlib stream"):
        decoder.feed(stream)
    whole = codec.decoder().feed(stream)
    with pytest.raises(BitstreamError, match="3 bytes follow the end"):
        whole.feed(b"abc")


def test_a_whole_stream_says_where_its_levels_end_without_a_walk(
    codec: HierCodec, stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = codec.decoder().feed(stream).level_ends
    monkeypatch.setattr(codec, "decoder", None)
    assert codec.level_ends(stream) == walked
    with pytest.raises(TypeError):  # a prefix has no trailer: it is walked
        codec.level_ends(stream[:-1])


def test_a_budget_is_met_exactly_and_codes_no_more_blocks_than_it_holds(codec: HierCodec) -> None:
    image = shapes(3, seed=5)[1]
    stream = codec.encode(image)
    whole = codec.encode_with_estimate(image)[1]
    for budget in (1, 5, 40, 200, codec.level_ends(stream)[0], len(stream) - 1, len(stream), len(stream) + 9):
        cut, bits = codec.encode_with_estimate(image, budget)
        assert cut == stream[:budget]
        assert bits <= whole
    assert codec.encode_with_estimate(image, 40)[1] < whole / 2


def test_many_pictures_at_once(codec: HierCodec) -> None:
    images = [shapes(4, seed=3)[i] for i in range(4)]
    streams = codec.encode_batch(images)
    assert streams == codec.encode_batch(torch.stack(images))
    for image, stream in zip(images, streams):
        mine, alone = codec.decode(stream), codec.decode(codec.encode(image))
        assert mine.complete
        assert (mine.image - alone.image).abs().mean() < 1e-3
    assert codec.encode_batch([]) == []
