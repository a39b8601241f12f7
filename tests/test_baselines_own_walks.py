"""Peers that walk otherwise (ProgDTD, EfficientPIC, DeepHQ, LimitNet): what their streams must do, cut or damaged."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_toys import toy_codec
from peer_toys import BLOCKS, exported, peer_codec, untrained
from safetensors.torch import save_file
from training_toys import python

import hierlib
from hierlib import baselines
from hierlib.baselines import CodecError
from hierlib.baselines.adopt import adopt
from hierlib.codec import weights
from hierlib.codec.coders import MU_GRID
from hierlib.codec.config import MICRO
from hierlib.codec.likelihood import Likelihoods
from hierlib.codec.model import HierCodec
from hierlib.codec.network import HierNetwork
from hierlib.errors import BitstreamError, CheckpointError, RecipeError
from hierlib.images.shapes import shapes
from hierlib.training import loop
from hierlib.training.data import training_set
from hierlib.training.peers import PEERS, PeerTask
from hierlib.training.recipe import changed
from hierlib.training.start import start


@pytest.fixture(scope="module", params=list(BLOCKS))
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def codec(method: str) -> HierCodec:
    return peer_codec(method)


@pytest.fixture(scope="module")
def path(method: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The codec as a weights file."""
    tensors, about = exported(method)
    path = tmp_path_factory.mktemp("peers") / f"{method}.safetensors"
    metadata = {"kind": weights.KIND, "about": json.dumps(about)}
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata=metadata)
    return path


@pytest.fixture(scope="module")
def stream(codec: HierCodec) -> bytes:
    return codec.encode(shapes(3, seed=5)[1])


def test_no_cut_has_a_wrong_symbol(codec: HierCodec, stream: bytes) -> None:
    whole = codec.decoder().feed(stream)
    assert whole.trailer is not None
    cuts = np.random.default_rng(2).integers(0, len(stream), 60)
    for cut in sorted({*map(int, cuts), *codec.level_ends(stream)}):
        part = codec.decoder().feed(stream[:cut])
        for mine, all_of_it in zip(part.blocks, whole.blocks):
            assert np.array_equal(mine.q, all_of_it.q[: len(mine.q)])
            assert np.array_equal(mine.needed_bytes, all_of_it.needed_bytes[: len(mine.q)])
        withheld = whole.counts_at(cut)[: len(part.blocks)]
        assert [len(block.q) for block in part.blocks] == withheld


@pytest.mark.parametrize("method", ["progdtd", "efficientpic", "limitnet"], indirect=True)
def test_the_whole_stream_is_the_latent_rounded_about_its_means(codec: HierCodec, stream: bytes) -> None:
    received = codec.decoder().feed(stream)
    y = codec.network.analyse(shapes(3, seed=5)[1][None])[0].double().numpy()
    kept = [*received.blocks[: len(codec.network.config.blocks)], *received.blocks[-1:]]
    y_hat = np.concatenate([block.values() for block in kept])[: len(y)]
    if codec.method == "limitnet":  # a step of each channel's own, and a range that the picture may leave
        path = codec.network.entropy
        q = torch.round(path.position(torch.from_numpy(y)))
        assert np.array_equal(y_hat, path.values(q).numpy())
    else:
        assert np.abs(y_hat - y).max() <= 0.5 + 1e-6
        assert np.array_equal(y_hat * MU_GRID, np.rint(y_hat * MU_GRID))
    assert codec.decode(stream).symbols == codec.decode(stream).symbols_total == y.size


def test_a_cut_shows_the_same_alone_in_a_ladder_and_in_pieces(codec: HierCodec, stream: bytes) -> None:
    cuts = [*range(0, len(stream), 61), *codec.level_ends(stream), len(stream) - 1, len(stream)]
    ladder = codec.decode_cuts(stream, cuts)
    for cut, at_once in zip(cuts, ladder):
        alone = codec.decode(stream[:cut])
        assert torch.equal(alone.image, at_once.image)
        facts = [(d.level, d.symbols, d.symbols_total, d.bytes_used, d.complete) for d in (alone, at_once)]
        assert facts[0] == facts[1]
    decoder = codec.decoder()
    for at in range(len(stream)):  # byte for byte: the walk waits and goes on everywhere
        decoder.feed(stream[at : at + 1])
    assert torch.equal(decoder.picture().image, ladder[-1].image)
    assert decoder.trailer is not None
    assert ladder[-1].complete
    symbols = [decoded.symbols for _, decoded in sorted(zip(cuts, ladder), key=lambda each: each[0])]
    assert symbols == sorted(symbols)


def test_levels_are_complete_where_their_ends_say(codec: HierCodec, stream: bytes) -> None:
    ends = codec.level_ends(stream)
    assert len(ends) == codec.levels == codec.decode(stream).level
    assert list(ends) == sorted(set(ends)) == list(codec.decoder().feed(stream).level_ends)
    for level, end in enumerate(ends):
        assert codec.decode(stream[:end]).level == level + 1
        assert codec.decode(stream[: end - 1]).level == level


def test_real_bytes_are_the_estimated_bits_and_any_size_goes(codec: HierCodec) -> None:
    for size in ((64, 64), (5, 130), (65, 63)):
        image = torch.rand(3, *size)
        stream, bits = codec.encode_with_estimate(image)
        overhead = len(codec.slices) * 2 + 24  # checks, trailer, header
        assert bits / 8 < len(stream) < bits / 8 * 1.002 + overhead
        assert codec.decode(stream).image.shape == image.shape
        assert codec.encode(image, max_bytes=50) == stream[:50]


def test_likelihoods_of_training_are_the_bytes_of_the_stream(method: str, codec: HierCodec) -> None:
    """Of a dull picture: an outlier costs 30 bits in training and fewer, as an escape, in the stream."""
    network, lessons = untrained(method)
    image = 0.5 + 0.4 * (shapes(3, seed=5)[1] - 0.5)
    bits = [shown.bits.item() for shown in every_end(method, network, lessons, image)]
    ends = np.array(codec.level_ends(codec.encode(image)))
    checks = 1 if method == "deephq" else np.arange(1, len(bits) + 1)
    wanted = {"efficientpic": ends[1::2]}.get(method, ends) - 6 - checks
    assert np.array(bits) / 8 == pytest.approx(wanted, rel=0.04, abs=3)


def every_end(method: str, network, lessons, image: torch.Tensor) -> list:  # type: ignore[no-untyped-def]
    """What training shows of a picture that is kept up to each group, or of the base and of all."""
    if method == "deephq":
        return [lessons.at(network, image[None], level) for level in range(8)]
    if method == "efficientpic":
        base, rest = lessons.shown(network, image[None], 0)
        z_bits = lessons.hyper(network.h_a(network.analyse(image[None])))[1].sum()
        return [base, rest._replace(bits=rest.bits + base.bits - z_bits)]
    shown = []
    for end in BLOCKS[method]:
        share = (end - 0.5) / BLOCKS[method][-1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "rand", lambda *size, share=share, **_: torch.full(size, share))
            shown += lessons.shown(network, image[None], 0)
    return shown


def test_damage_gives_a_picture_or_a_sentence(codec: HierCodec, stream: bytes) -> None:
    random = np.random.default_rng(1)
    for trial in range(150):
        broken = bytearray(stream)
        for position in random.integers(5, len(stream), random.integers(1, 4)):
            broken[position] = random.integers(0, 256)
        cut = broken[: random.integers(0, len(stream) + 1)] + random.bytes(int(random.integers(0, 3)))
        if trial % 10 == 0:
            cut = bytes(stream[:6]) + random.bytes(300)
        with contextlib.suppress(BitstreamError):
            decoded = codec.decode(bytes(cut))
            assert torch.isfinite(decoded.image).all()
    with pytest.raises(BitstreamError):
        codec.decode(stream + b"\0")


def test_a_machine_that_disagrees_is_found_before_a_symbol_is_misread(codec: HierCodec, stream: bytes) -> None:
    """Scales off by a hundredth: the check before the block says so."""
    if codec.method == "limitnet":
        pytest.skip("its decoder computes no scale: order and rows come from whole numbers in the stream")
    other = peer_codec(codec.method)
    other.network.entropy.h_s[-1].bias.add_(0.01)
    with pytest.raises(BitstreamError, match="does not match"):
        other.decode(stream)


def test_weights_load_by_path_as_what_they_are_and_streams_know_their_method(
    method: str, stream: bytes, path: Path
) -> None:
    loaded = hierlib.load(path)
    assert (loaded.method, type(loaded)) == (method, baselines.methods()[method])
    assert torch.equal(loaded.decode(stream).image, peer_codec(method).decode(stream).image)
    assert baselines.load(path).name == f"{method}0"
    with pytest.raises(CheckpointError, match=f"method {method}"):
        weights.load(path)
    for other in (peer_codec(method, seed=1), toy_codec()):
        with pytest.raises(BitstreamError, match="not by"):
            other.decode(stream)


def test_adopting_halves_the_file_and_refuses_other_networks(codec: HierCodec, path: Path, tmp_path: Path) -> None:
    adopt(codec.method, path, tmp_path / f"{codec.method}-task.safetensors")
    halved = hierlib.load(tmp_path / f"{codec.method}-task.safetensors")
    assert (halved.method, halved.name) == (codec.method, f"{codec.method}-task")
    assert (tmp_path / f"{codec.method}-task.safetensors").stat().st_size < 0.8 * path.stat().st_size
    image = shapes(3, seed=5)[2]
    off = halved.decode(halved.encode(image)).image - codec.decode(codec.encode(image)).image
    assert off.abs().mean() < 0.01
    for method, source in (("dpict", path), (codec.method, "tiny")):
        with pytest.raises(CodecError, match="has others"):
            adopt(method, source, tmp_path / "no.safetensors")


def test_a_stream_is_read_in_another_process_with_other_threads(
    codec: HierCodec, stream: bytes, path: Path, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "stream").write_bytes(stream)
    script = (
        "import sys, torch; torch.set_num_threads(2); torch.backends.mkldnn.enabled = False\n"
        "from pathlib import Path; import hierlib\n"
        "found = hierlib.load(sys.argv[1]).decoder().feed(Path(sys.argv[2]).read_bytes())\n"
        "print(found.trailer is not None, sum(int(abs(b.q).sum()) for b in found.blocks))"
    )
    whole = codec.decoder().feed(stream)
    said = python(script, path, tmp_path / "stream", root=root, OMP_NUM_THREADS="2")
    assert said.split() == ["True", str(sum(int(abs(block.q).sum()) for block in whole.blocks))]


def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(method: str, tmp_path: Path) -> None:
    """Stopped in the second of three stages, where some networks have not been trained yet."""
    few = ["pictures=shapes:36", "batch_size=2", "steps=7"]
    recipe = changed(PEERS[f"ci-{method}"], few)
    about = {"recipe": recipe.to_json(), "seed": 0}
    whole, halved, resumed = (PeerTask(recipe, training_set(recipe.pictures, 0)) for _ in range(3))
    loop.run(whole, tmp_path / "whole", 7, about)
    update = halved.update

    def interrupted(step: int) -> dict[str, float]:
        if step == 5:
            raise KeyboardInterrupt
        return update(step)

    halved.update = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        loop.run(halved, tmp_path / "halved", 7, about, checkpoint_every_s=0)
    loop.run(resumed, tmp_path / "halved", 7, about)
    for key, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[key]), key


def test_a_peer_trains_by_name_and_starts_from_its_own_kind_only(method: str, tmp_path: Path) -> None:
    few = ["pictures=shapes:36", "batch_size=4", "size=64"]
    path = start(f"ci-{method}", tmp_path / "whole", steps=6, changes=few)
    codec = hierlib.load(path)
    assert codec.method == method
    image = shapes(3, seed=5)[0]
    assert codec.decode(codec.encode(image)).complete
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 6
    again = start(f"ci-{method}", tmp_path / "other", steps=6, changes=few, start_from=str(path))
    assert weights.read(again)[1]["start_from"].startswith(f"ci-{method} ")
    other = next(each for each in BLOCKS if each != method)
    with pytest.raises(CheckpointError, match=f"of method {method}"):
        start(f"ci-{other}", tmp_path / "no", steps=2, changes=few, start_from=str(path))


def test_a_peer_starts_from_a_backbone_where_its_networks_are_the_same(method: str, tmp_path: Path) -> None:
    recipe = changed(PEERS[f"ci-{method}"], ["pictures=shapes:36"])
    task = PeerTask(recipe, training_set(recipe.pictures, 0))
    own = {key: value.clone() for key, value in task.network.state_dict().items()}
    torch.manual_seed(4)
    one = replace(MICRO, blocks=(56,), delta_dim=0)
    backbone, path = HierNetwork(one), tmp_path / "backbone.safetensors"
    weights.save(path, backbone, Likelihoods(one.N_hyper), {"name": "backbone"})
    if method in ("efficientpic", "limitnet"):
        with pytest.raises(CheckpointError, match="does not fit"):
            task.begin_from(str(path))
        return
    assert task.begin_from(str(path)).startswith("backbone ")
    given = backbone.state_dict()
    for key, value in task.network.state_dict().items():
        assert torch.equal(value, given.get(key, own[key])), key
    assert any(not torch.equal(value, own[key]) for key, value in given.items())


def test_recipes_have_as_many_updates_as_ours_in_two_regimes(method: str) -> None:
    assert [PEERS[f"{method}64{suffix}"].steps for suffix in ("-start", "-rd", "")] == [4500, 10000, 10000]
    assert not any(any(PEERS[f"{method}64{suffix}"].gamma) for suffix in ("-start", "-rd"))
    assert PEERS[f"{method}64"].gamma[-1] == 0.3
    assert {PEERS[f"{method}64{suffix}"].pictures for suffix in ("-start", "-rd", "")} == {"tiny-imagenet-train"}
    with pytest.raises(RecipeError, match="add up to 1"):
        replace(PEERS[f"ci-{method}"], stages=(0.5, 0.4))
    with pytest.raises(RecipeError, match="no method is called"):
        replace(PEERS[f"ci-{method}"], method="dtd")
