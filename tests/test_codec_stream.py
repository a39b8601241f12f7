"""The whole codec: any prefix, any size, any damage."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_toys import exported, toy_codec

import hierlib
from hierlib.codec import container
from hierlib.codec.model import HierCodec
from hierlib.errors import BitstreamError, BudgetError, PictureError
from hierlib.images.shapes import shapes


@pytest.fixture(scope="module")
def codec() -> HierCodec:
    return toy_codec()


@pytest.fixture(scope="module")
def stream(codec: HierCodec) -> bytes:
    return codec.encode(shapes(3, seed=5)[1])


def test_every_cut_decodes_to_a_prefix_of_what_the_whole_holds(codec: HierCodec, stream: bytes) -> None:
    whole = codec.decoder().feed(stream)
    assert whole.header is not None
    assert whole.trailer is not None
    for cut in range(whole.header.length_bytes, len(stream), 11):
        part = codec.decoder().feed(stream[:cut])
        for mine, all_of_it in zip(part.blocks, whole.blocks, strict=False):
            if mine.begun_bytes is not None:
                assert np.array_equal(mine.order, all_of_it.order)
                assert np.array_equal(mine.q, all_of_it.q[: len(mine.q)])
            else:
                assert len(mine.q) == 0
        settled = whole.counts_at(cut)
        assert [len(block.q) for block in part.blocks] == settled[: len(part.blocks)]
        assert sum(settled[len(part.blocks) :]) == 0


def test_a_ladder_of_cuts_is_the_same_as_cutting(codec: HierCodec, stream: bytes) -> None:
    cuts = [0, 1, 5, 7, 8, 9, 12, 30, 31, 100, *codec.level_ends(stream), len(stream) - 3, len(stream) - 1, len(stream)]
    for cut, ladder in zip(cuts, codec.decode_cuts(stream, cuts)):
        alone = codec.decode(stream[:cut])
        assert torch.equal(ladder.image, alone.image)
        facts = [(d.level, d.symbols, d.symbols_total, d.bytes_used, d.complete) for d in (ladder, alone)]
        assert facts[0] == facts[1]


def test_symbols_and_levels_only_grow_and_bytes_used_fit(codec: HierCodec, stream: bytes) -> None:
    ends = codec.level_ends(stream)
    cuts = sorted({*range(0, len(stream), 13), *ends, *(end - 1 for end in ends), len(stream) - 1, len(stream)})
    ladder = codec.decode_cuts(stream, cuts)
    symbols, levels = [d.symbols for d in ladder], [d.level for d in ladder]
    assert symbols == sorted(symbols)
    assert levels == sorted(levels)
    assert levels[-1] == codec.levels
    assert all(d.bytes_used <= cut for d, cut in zip(ladder, cuts))
    assert [d.complete for d in ladder] == [False] * (len(cuts) - 1) + [True]
    at = dict(zip(cuts, levels))
    assert [at[end] for end in ends] == [1, 2, 3]
    assert [at[end - 1] for end in ends] == [0, 1, 2]


def test_the_whole_stream_holds_the_rounded_latent(codec: HierCodec, stream: bytes) -> None:
    """y_hat - y lies within half a step everywhere: nothing was clamped, lost or shifted."""
    image = shapes(3, seed=5)[1]
    y = codec.network.analyse(image[None])[0].double().numpy()
    received = codec.decoder().feed(stream)
    y_hat = np.concatenate([block.values() for block in received.blocks])
    assert np.abs(y_hat - y).max() <= 0.5 + 1e-6


def test_real_bytes_are_the_estimated_bits(codec: HierCodec) -> None:
    for image in (shapes(4, seed=7)[i] for i in range(4)):
        stream, bits = codec.encode_with_estimate(image)
        assert bits / 8 < len(stream) < bits / 8 * 1.002 + 24  # header 6, checks 3, trailer at most 11, rounding


@pytest.mark.parametrize("size", [(1, 1), (5, 130), (64, 64), (65, 63), (200, 3)])
def test_any_size(codec: HierCodec, size: tuple[int, int]) -> None:
    image = torch.rand(3, *size)
    stream = codec.encode(image)
    decoded = codec.decode(stream)
    assert decoded.image.shape == image.shape
    assert decoded.complete
    assert codec.decode(stream[: len(stream) // 2]).image.shape == image.shape


def test_any_number_of_levels() -> None:
    for blocks in ((56,), (8, 16, 24, 40, 56)):
        codec = toy_codec(1, blocks)
        stream = codec.encode(shapes(1)[0])
        assert len(codec.level_ends(stream)) == codec.levels == len(blocks)
        assert codec.decode(stream).complete


def test_header_is_small(codec: HierCodec) -> None:
    for side, most in ((64, 6), (256, 8), (4000, 8)):
        header = container.write_header(container.Header(codec.fingerprint, side, side))
        assert len(header) <= most
        assert container.read_header(header) == container.Header(codec.fingerprint, side, side, len(header))
    wide = container.write_header(container.Header(codec.fingerprint, 300, 70_000))
    assert container.read_header(wide) == container.Header(codec.fingerprint, 300, 70_000, len(wide))


def test_short_prefixes_never_raise(codec: HierCodec, stream: bytes) -> None:
    for cut in range(12):
        decoded = codec.decode(stream[:cut])
        assert decoded.level == decoded.symbols == 0
        assert decoded.image.min() >= 0
        assert decoded.image.max() <= 1


def test_a_stream_of_another_model_is_refused_by_name(stream: bytes) -> None:
    with pytest.raises(BitstreamError, match=r"made by model [0-9a-f]{6}, not by toy1"):
        toy_codec(1).decode(stream)


def test_another_version_and_no_stream_at_all_are_refused(codec: HierCodec, stream: bytes) -> None:
    with pytest.raises(BitstreamError, match="version 2"):
        codec.decode(bytes([stream[0], 0xF2]) + stream[2:])
    with pytest.raises(BitstreamError, match="no hierlib stream"):
        codec.decode(b"\xff\xd8\xff\xe0 a JPEG")
    with pytest.raises(BitstreamError, match="pixels"):
        codec.decode(stream[:5] + b"\xfe\xff\xff\xff\x0f\xff\xff\xff\xff\x0f")


def test_every_flipped_bit_of_a_whole_stream_is_found(codec: HierCodec, stream: bytes) -> None:
    random = np.random.default_rng(0)
    for position in random.integers(0, len(stream), 60):
        damaged = bytearray(stream)
        damaged[position] ^= 1 << random.integers(8)
        with contextlib.suppress(BitstreamError):
            assert not codec.decode(bytes(damaged)).complete  # a longer stream that has merely not ended yet


def test_bytes_behind_the_end_are_found(codec: HierCodec, stream: bytes) -> None:
    with pytest.raises(BitstreamError, match="2 bytes follow"):
        codec.decode(stream + b"ab")


def test_mutated_truncated_and_random_streams_give_pictures_or_typed_errors(codec: HierCodec, stream: bytes) -> None:
    random = np.random.default_rng(2)
    for _ in range(60):
        mutated = bytearray(stream[: random.integers(1, len(stream))])
        for position in random.integers(0, len(mutated), 3):
            mutated[position] = random.integers(256)
        for candidate in (bytes(mutated), stream[:6] + random.integers(0, 256, 40, dtype=np.uint8).tobytes()):
            try:
                image = codec.decode(candidate).image
            except BitstreamError:
                continue
            assert torch.isfinite(image).all()


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.rand(64, 64), r"\(3, H, W\)"),
        (torch.rand(1, 64, 64), r"\(3, H, W\)"),
        (torch.rand(3, 64, 64) * 255, "divide 8-bit"),
        (torch.full((3, 8, 8), float("nan")), "lies in"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "divide by 255"),
    ],
)
def test_what_is_no_picture_is_refused(codec: HierCodec, image: torch.Tensor, says: str) -> None:
    with pytest.raises(PictureError, match=says):
        codec.encode(image)


def test_budgets(codec: HierCodec, stream: bytes) -> None:
    image = shapes(3, seed=5)[1]
    assert codec.encode(image, max_bytes=100) == stream[:100]
    for budget in (0, -1):
        with pytest.raises(BudgetError):
            codec.encode(image, max_bytes=budget)


def test_info_says_where_the_bytes_are(codec: HierCodec, stream: bytes) -> None:
    found = codec.info(stream)
    assert found["complete"]
    assert found["check"] == "matches"
    assert found["level_end_bytes"] == list(codec.level_ends(stream))
    assert found["fingerprint"] == codec.fingerprint.hex()
    half = codec.info(stream[: len(stream) // 2])
    assert not half["complete"]
    assert codec.info(stream[:3])["bytes"] == 3


def test_a_disagreement_over_scales_is_an_error_not_noise(stream: bytes) -> None:
    """A decoder whose sigma differs by a hair more than rounding noise is stopped by the check before the block."""
    codec = toy_codec()
    with torch.no_grad():
        codec.network.entropy.parameters_net.head.bias += 0.02
    with pytest.raises(BitstreamError, match="check before block 1"):
        codec.decode(stream)


def test_near_edges_are_sent_as_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a wide guard many integers are near an edge; a decoder off by less than the guard still agrees."""
    from hierlib.codec import coders

    monkeypatch.setattr(coders, "GUARD", 1e-3)
    codec, image = toy_codec(), shapes(1)[0]
    stream = codec.encode(image)
    expected = codec.decode(stream).image
    monkeypatch.undo()
    plain = toy_codec().encode(image)
    assert len(stream) > len(plain)
    other = toy_codec()
    shift = coders.integers

    def noisy(log_sigma: torch.Tensor, mu: torch.Tensor):
        noise = (torch.rand_like(mu) - 0.5) * 1e-6
        return shift(log_sigma + noise, mu + noise)

    monkeypatch.setattr(coders, "integers", noisy)
    assert torch.allclose(other.decode(stream).image, expected, atol=1e-6)


OTHER_PROCESS = """
import sys, torch
import hierlib
torch.set_num_threads(2)
torch.backends.mkldnn.enabled = False
codec = hierlib.load(sys.argv[1])
stream = open(sys.argv[2], "rb").read()
decoded = codec.decode(stream)
print(decoded.complete, decoded.symbols)
"""


def test_a_stream_decodes_in_another_process_with_other_threads_and_kernels(tmp_path: Path) -> None:
    """Two threads, oneDNN off: the integers must be the same, or the checks between the blocks would raise."""
    from safetensors.torch import save_file

    tensors, about = exported()
    weights, stream = tmp_path / "toy.safetensors", tmp_path / "stream.c2f"
    save_file(tensors, weights, metadata={"kind": "hierlib-codec", "about": json.dumps(about)})
    stream.write_bytes(hierlib.load(str(weights)).encode(torch.rand(3, 128, 192)))
    command = [sys.executable, "-c", OTHER_PROCESS, weights, stream]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", str(56 * 8 * 12)]


def test_the_fingerprint_is_of_the_decoder_only() -> None:
    from hierlib.codec.weights import fingerprint

    tensors, _ = exported()
    first = next(key for key in tensors if key.startswith("network.g_a."))
    other = next(key for key in tensors if key.startswith("network.g_s."))
    assert fingerprint({**tensors, first: tensors[first] + 1}) == fingerprint(tensors)
    assert fingerprint({**tensors, other: tensors[other] + 1}) != fingerprint(tensors)
