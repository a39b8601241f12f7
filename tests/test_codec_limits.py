"""Large pictures and hostile sizes: tiles that nobody sees, and limits before anything is allocated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from codec_toys import toy_codec

import hierlib
from hierlib.codec import container, tiles
from hierlib.errors import BitstreamError, PictureError
from hierlib.images.pictures import demonstration


def test_tiles_change_nothing_that_could_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    network = hierlib.load("tiny").network
    image = torch.nn.functional.pad(demonstration(320)["coffee"][None], (0, 192, 0, 0), mode="reflect")
    with torch.no_grad():
        y = network.analyse(image)
        x_hat = network.synthesise(y.round())
        monkeypatch.setattr(tiles, "CORE", 64)
        assert torch.allclose(tiles.analyse(network, image), y, atol=1e-3)
        seams = (tiles.synthesise(network, y.round()) - x_hat).abs().max() * 255
    assert 0 < seams < 0.05  # grey levels: there were tiles, and nobody sees them


def test_declared_sizes_are_checked_before_anything_is_allocated() -> None:
    codec = toy_codec()
    codec.max_pixels = 64 * 64
    assert codec.decode(codec.encode(torch.rand(3, 64, 64))).complete
    with pytest.raises(PictureError, match="more than 4,096"):
        codec.encode(torch.rand(3, 64, 65))
    header = container.write_header(container.Header(codec.fingerprint, 64, 65))
    with pytest.raises(BitstreamError, match="65 x 64 pixels, padded more than 4,096"):
        codec.decode(header)


HOSTILE = """
import resource, sys
from codec_toys import toy_codec
from hierlib.codec import container
from hierlib.errors import BitstreamError
codec = toy_codec()
codec.decode(codec.encode(__import__("torch").rand(3, 64, 64)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for size in ((1 << 30, 1 << 30), (1, 1 << 34), (1 << 13, (1 << 12) + 1), (1, 1 << 23)):
    try:
        codec.decode(container.write_header(container.Header(codec.fingerprint, *size)) + bytes(50))
    except BitstreamError:
        continue
    sys.exit(f"{size} was not refused")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_hostile_size_costs_no_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * (1 if sys.platform == "darwin" else 1024) < 4 << 20


def test_a_stream_of_shipped_weights_is_called_by_their_name() -> None:
    stream = hierlib.load("tiny").encode(torch.rand(3, 16, 16))
    with pytest.raises(BitstreamError, match=r"made by model tiny \([0-9a-f]{6}\), not by toy0 .*decode it with tiny"):
        toy_codec().decode(stream)
