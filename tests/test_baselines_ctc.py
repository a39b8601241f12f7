"""CTC: its rows, its causality, what happens where machines disagree, and that its training does what it says."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_toys import exported
from safetensors.torch import save_file

import hierlib
from hierlib.baselines import ctc
from hierlib.baselines.adopt import adopt, write
from hierlib.baselines.contexts import Contexts, PlaneContext
from hierlib.baselines.ctc import CTC, LIMIT, POWERS, context_rows
from hierlib.codec import weights
from hierlib.codec.coders import MU_GRID
from hierlib.codec.tables import TOTAL
from hierlib.errors import BitstreamError, CheckpointError, HierlibError, RecipeError
from hierlib.images.shapes import shapes
from hierlib.training.contexts import CONTEXTS, train_contexts
from hierlib.training.start import start


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ctc") / "backbone.safetensors"
    tensors, about = exported(0, (56,))
    metadata = {"kind": weights.KIND, "about": json.dumps(about)}
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata=metadata)
    return path


def with_networks(backbone: Path, spread: float) -> CTC:
    """The backbone with networks that say something at random, of this size; 0: nothing."""
    torch.manual_seed(1)
    tensors, about = weights.read(backbone)
    networks = Contexts(56, 8)
    for each in (*networks.rate, *networks.shown):
        each.network[-1].weight.data.normal_(0, spread)
    path = backbone.with_name(f"ctc-{spread}.safetensors")
    own = {f"context.{k}": v for k, v in networks.state_dict().items()}
    write(path, tensors | own, {**about, "method": "ctc", "name": "toy-ctc"})
    found = hierlib.load(path)
    assert isinstance(found, CTC)
    return found


@pytest.fixture(scope="module")
def codec(backbone: Path) -> CTC:
    return with_networks(backbone, 0.3)


@pytest.fixture(scope="module")
def stream(codec: CTC) -> bytes:
    return codec.encode(shapes(3, seed=5)[1])


def test_all_networks_are_counted(codec: CTC, backbone: Path) -> None:
    tensors, _ = weights.read(backbone.with_name("ctc-0.3.safetensors"))
    sizes = {name: tensor.numel() for name, tensor in tensors.items()}
    counts = codec.parameter_counts
    assert counts["all"] == sum(n for name, n in sizes.items() if name.startswith(("network.", "context.")))
    decoding = ("network.g_s.", "network.linear.inverse_conv.", "context.shown.")
    assert counts["all"] - counts["encoder"] == sum(n for name, n in sizes.items() if name.startswith(decoding))


def test_rows_are_the_softmax_of_eighths_of_a_bit() -> None:
    assert np.array_equal(POWERS, np.rint(4096 * 2 ** (np.arange(8) / 8)))
    rows = context_rows()
    random = np.random.default_rng(0)
    for lower, upper in random.integers(-60, 61, (200, 2)):
        found = rows[(lower + LIMIT) * (2 * LIMIT + 1) + upper + LIMIT] / TOTAL
        wanted = 2.0 ** (np.array([lower, 0, upper]) / 8)
        assert np.abs(found[:3] - wanted / wanted.sum()).max() < 2e-4
    assert (rows.sum(1) == TOTAL).all()
    assert rows.min() == 1


def test_untrained_networks_are_the_hyperprior(backbone: Path) -> None:
    """The same symbols for the same bytes, but for the checks and the rounding of probabilities; the same pictures."""
    image = shapes(3, seed=5)[1]
    adopt("dpict", backbone, backbone.with_name("dpict.safetensors"), half=False)
    plain, silent = hierlib.load(backbone.with_name("dpict.safetensors")), with_networks(backbone, 0.0)
    ours, theirs = silent.encode(image), plain.encode(image)
    assert abs(len(ours) - len(theirs)) <= 3 + 0.01 * len(theirs)
    a, b = silent.decoder().feed(ours).blocks[0], plain.decoder().feed(theirs).blocks[0]
    assert np.array_equal(a.q, b.q)
    for count in (0, 100, 1000, len(a.q)):
        assert np.allclose(a.values(count), b.values(count), atol=1e-12)


def test_any_cut_and_the_whole(codec: CTC, stream: bytes) -> None:
    image = shapes(3, seed=5)[1]
    whole = codec.decoder().feed(stream)
    block = whole.blocks[0]
    y = codec.network.analyse(image[None])[0].double().numpy()
    assert whole.trailer is not None
    assert np.array_equal(block.values(), np.rint(y - block.mu / MU_GRID) + block.mu / MU_GRID)
    cuts = [*range(0, len(stream), 7), *codec.level_ends(stream), len(stream) - 1, len(stream)]
    for cut, at_once in zip(cuts, codec.decode_cuts(stream, cuts)):
        part = codec.decoder().feed(stream[:cut])
        for mine in part.blocks:
            assert np.array_equal(mine.q, block.q[: len(mine.q)])
        alone = part.picture()
        assert torch.equal(alone.image, at_once.image)
        assert (alone.level, alone.symbols, alone.complete) == (at_once.level, at_once.symbols, at_once.complete)
    decoder = codec.decoder()
    for first in range(0, len(stream), 29):
        decoder.feed(stream[first : first + 29])
    assert torch.equal(decoder.picture().image, codec.decode(stream).image)


def test_what_is_shown_stays_inside_what_is_known(codec: CTC, stream: bytes) -> None:
    block = codec.decoder().feed(stream).blocks[0]
    final = block.values()
    for count in range(0, block.size, 97):
        j, _ = block.known(count)  # type: ignore[attr-defined]
        begun = (j <= block.nested.starts[block.index.ravel()]).reshape(block.mu.shape)  # type: ignore[attr-defined]
        width = 3.0 ** j.reshape(block.mu.shape)
        assert (np.abs(block.values(count) - final)[begun] < width[begun]).all()


def test_a_plane_is_foretold_from_complete_planes_only(codec: CTC) -> None:
    """Two latents that differ in the plane's own trits only have the same inputs, whatever the trits."""
    random = np.random.default_rng(0)
    index = random.integers(10, 40, (1, 56, 4, 4))
    begun = codec.nested.starts[index] > 1
    k = np.where(begun, random.integers(-1, 2, index.shape), 0)
    both = [PlaneContext(codec.nested, index, np.zeros_like(index), 1, k) for _ in range(2)]
    assert torch.equal(both[0].inputs(), both[1].inputs())
    p = both[0].probabilities()
    assert np.allclose(p.sum(1), 1, atol=1e-4)
    assert (p[:, 1][~both[0].members] == 1).all()


def shaken(codec: CTC, by: float, seed: int) -> None:
    """As a machine whose logits differ by up to ``by`` eighths of a bit."""
    networks, random = codec.contexts, torch.Generator().manual_seed(seed)
    honest = type(networks).logits

    def logits(context: PlaneContext) -> torch.Tensor:
        found = honest(networks, context)
        return found + (2 * torch.rand(found.shape, generator=random, dtype=found.dtype) - 1) * by * np.log(2) / 8

    networks.logits = logits  # type: ignore[method-assign]


def test_machines_that_differ_within_the_guard_agree_and_others_are_told(
    backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = shapes(3, seed=5)[0]
    monkeypatch.setattr(ctc, "GUARD", 0.02)
    here, there, elsewhere = (with_networks(backbone, 0.3) for _ in range(3))
    stream = here.encode(image)
    monkeypatch.setattr(ctc, "GUARD", 1e-9)
    assert len(stream) > len(here.encode(image)) + 20  # exceptions cost bytes
    shaken(there, 0.01, 1)
    assert there.decode(stream).complete
    assert torch.equal(there.decode(stream).image, here.decode(stream).image)
    shaken(elsewhere, 0.5, 2)
    with pytest.raises(BitstreamError, match="check before a plane"):
        elsewhere.decode(stream)


def test_damage_gives_a_picture_or_a_sentence(codec: CTC, stream: bytes) -> None:
    random = np.random.default_rng(1)
    for _ in range(120):
        broken = bytearray(stream)
        for position in random.integers(5, len(stream), random.integers(1, 4)):
            broken[position] = random.integers(0, 256)
        cut = bytes(broken[: random.integers(0, len(stream) + 1)])
        with contextlib.suppress(BitstreamError):
            assert torch.isfinite(codec.decode(cut).image).all()


def test_weights_without_networks_are_refused(backbone: Path) -> None:
    with pytest.raises(HierlibError, match="train ctc64"):
        adopt("ctc", backbone, backbone.with_name("no.safetensors"))
    tensors, about = weights.read(backbone)
    write(backbone.with_name("bare.safetensors"), tensors, {**about, "method": "ctc"})
    with pytest.raises(CheckpointError, match="no networks for CTC"):
        hierlib.load(backbone.with_name("bare.safetensors"))


def test_training_makes_files_shorter_and_leaves_the_backbone(backbone: Path, tmp_path: Path) -> None:
    recipe = replace(CONTEXTS["ci-ctc"], steps=60, learning_rate=3e-3)
    path = train_contexts(recipe, tmp_path, str(backbone))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["bits"] < 0.97 * lines[-1]["hyperprior_bits"]
    adopt("ctc", path, tmp_path / "half.safetensors")
    adopt("dpict", backbone, tmp_path / "dpict.safetensors")
    made, plain = hierlib.load(tmp_path / "half.safetensors"), hierlib.load(tmp_path / "dpict.safetensors")
    images = [shapes(8, seed=11)[i] for i in range(8)]
    streams = [made.encode(image) for image in images]
    assert sum(map(len, streams)) < sum(len(plain.encode(image)) for image in images)
    assert all(made.decode(each).complete for each in streams)
    before, after = weights.read(backbone)[0], weights.read(path)[0]
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if key.startswith("network.g_s.")}
    with pytest.raises(RecipeError, match="start-from"):
        start("ci-ctc", tmp_path / "none")
