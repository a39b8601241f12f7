"""Damaged and invented streams: a picture or a typed error, nothing else, whatever the bytes."""

from __future__ import annotations

import resource
import time
from collections import Counter

import numpy as np
import pytest
import torch
from tqdm import tqdm
from vectors.make import load

from hierlib.codec import container
from hierlib.errors import BitstreamError
from hierlib.images.shapes import shapes

STREAMS = 100_000
SLOWEST_S = 10  # one stream of at most 64x64 pixels; a second of it would already be a hang


def mutated(streams: list[bytes], fingerprint: bytes, random: np.random.Generator) -> tuple[str, bytes]:
    """One of five kinds of bad stream, made from good ones."""
    good = bytearray(streams[random.integers(len(streams))])
    kind = ["flipped", "overwritten", "truncated and flipped", "extended", "random"][random.integers(5)]
    if kind == "flipped":
        for at in random.integers(0, len(good), random.integers(1, 4)):
            good[at] ^= 1 << random.integers(8)
    elif kind == "overwritten":
        at = random.integers(len(good))
        good[at : at + 8] = random.integers(0, 256, len(good[at : at + 8]), dtype=np.uint8).tobytes()
    elif kind == "truncated and flipped":
        del good[random.integers(1, len(good)) :]
        good[random.integers(len(good))] ^= 1 << random.integers(8)
    elif kind == "extended":
        good += random.integers(0, 256, random.integers(1, 30), dtype=np.uint8).tobytes()
    else:
        side = int(random.integers(1, 65))
        header = container.write_header(container.Header(fingerprint, side, side))
        good = bytearray(header + random.integers(0, 256, random.integers(0, 200), dtype=np.uint8).tobytes())
    return kind, bytes(good)


@pytest.mark.timeout(5400)
def test_a_hundred_thousand_bad_streams() -> None:
    codec, random = load("toy"), np.random.default_rng(0)
    codec.max_pixels = 64 * 64
    drawn = shapes(6, seed=2)
    streams = [codec.encode(drawn[i][:, : 64 - 9 * i, : 64 - 5 * i]) for i in range(6)]
    found: Counter[str] = Counter()
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in tqdm(range(STREAMS), leave=False, mininterval=5):
        kind, stream = mutated(streams, codec.fingerprint, random)
        if stream in streams:
            kind = "flipped and flipped back"
        began = time.perf_counter()
        try:
            decoded = codec.decode(stream)
        except BitstreamError:
            found[f"{kind}: refused"] += 1
        else:
            assert torch.isfinite(decoded.image).all()
            assert decoded.image.numel() <= 3 * codec.max_pixels
            found[f"{kind}: {'complete' if decoded.complete else 'a picture of a prefix'}"] += 1
        slowest = max(slowest, time.perf_counter() - began)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{STREAMS:,} bad streams: no other exception; slowest {slowest:.2f} s; memory grew by {grown:.0f} MiB at most"
    )
    for name, count in sorted(found.items()):
        print(f"  {name}: {count:,}")
    assert slowest < SLOWEST_S
