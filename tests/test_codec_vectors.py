"""Conformance: what FORMAT.md promises, held by streams that were written once and must mean the same everywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from vectors.make import HERE, facts, load, pictures

from hierlib.codec import weights
from hierlib.codec.coders import DecodingCoder
from hierlib.errors import BitstreamError

MODELS = ("toy", "tiny")
exceptions_of = DecodingCoder._read_exceptions


def reads(coder: DecodingCoder) -> bool:
    """Reads the exceptions of a block as it should, and drops them."""
    scrap = np.zeros((2, 10**6), dtype=np.int64)
    return exceptions_of(coder, *scrap)


@pytest.mark.parametrize("model", MODELS)
def test_every_vector_means_here_what_it_meant_where_it_was_written(model: str) -> None:
    codec, held = load(model), json.loads((HERE / model / "vectors.json").read_text())
    assert held["fingerprint"] == codec.fingerprint.hex(), "new weights: python tests/vectors/make.py tiny"
    for vector in held["vectors"]:
        stream = (HERE / model / vector["stream"]).read_bytes()
        assert vector["cuts"][-1] == {**vector["cuts"][-1], "bytes": len(stream), "complete": True}
        for cut in vector["cuts"]:
            assert facts(codec, stream[: cut["bytes"]]) == cut, vector["stream"]


def test_vectors_hold_what_a_decoder_may_get_wrong() -> None:
    """Exceptions that matter, escapes of y and z, a cut inside z, a cut inside each block."""
    codec, held = load("toy"), json.loads((HERE / "toy" / "vectors.json").read_text())
    by_name = {vector["stream"]: vector["cuts"] for vector in held["vectors"]}
    streams = {name: (HERE / "toy" / name).read_bytes() for name in by_name}
    deaf = load("toy")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hierlib.codec.coders.DecodingCoder._read_exceptions", lambda self, *_: reads(self))
        with pytest.raises(BitstreamError):
            deaf.decode(streams["exceptions.c2f"])
    assert abs(codec.decoder().feed(streams["hyper-escape.c2f"])._z).max() > 250
    noise = codec.decoder().feed(streams["noise.c2f"])
    reach = codec.y_tables.begins[1:] - codec.y_tables.begins[:-1]
    assert any((abs(block.q) > reach[block.rows] // 2).any() for block in noise.blocks)
    assert {len(cut["symbols"]) for cut in by_name["square.c2f"]} == {0, 1, 2, 3}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_and_a_cpu_read_each_others_streams() -> None:
    here, there = weights.load("tiny"), weights.load("tiny", "cuda")
    held = json.loads((HERE / "tiny" / "vectors.json").read_text())
    for vector in held["vectors"]:
        stream = (HERE / "tiny" / vector["stream"]).read_bytes()
        assert facts(there, stream) == vector["cuts"][-1]
    for image in pictures().values():
        stream = there.encode(image)
        assert facts(here, stream) == facts(there, stream)
