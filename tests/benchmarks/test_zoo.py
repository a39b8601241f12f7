"""Seconds of CompressAI's architectures beside ours, at their published sizes; one run, two threads.

Nobody's weights are trained here, which changes what is coded, not how much work the networks are: the latents are
spread so that there is something to code.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from compressai.zoo.image import cfgs
from test_speed import two_threads, untrained  # noqa: F401 - a fixture
from timing import seconds

import hierlib
from hierlib.baselines import zoo
from hierlib.codec.config import PAPER
from hierlib.images.pictures import demonstration

QUALITY = 4  # the largest of the low-rate sizes


@pytest.mark.timeout(1800)
def test_encode_and_decode_beside_the_zoo() -> None:
    image = demonstration(256)["coffee"]
    codecs = {"tiny": hierlib.load("tiny"), "paper's size": untrained(PAPER)}
    for architecture in sorted(zoo.architectures().keys() & cfgs.keys()):
        torch.manual_seed(0)
        sizes = dict(zip(("N", "M"), cfgs[architecture][QUALITY]))
        network = zoo.build(architecture, **sizes)
        last = next(layer for layer in reversed(network.g_a) if isinstance(layer, torch.nn.Conv2d))
        torch.nn.init.normal_(last.bias, std=3)
        network.update()
        codecs[architecture] = zoo.ZooCodec(network, architecture, b"\0\0\0", architecture)
    for name, codec in codecs.items():
        stream = codec.encode(image)
        assert codec.decode(stream).complete
        parameters = sum(p.numel() for p in codec.network.parameters())
        encode, decode = seconds(partial(codec.encode, image), 3), seconds(partial(codec.decode, stream), 3)
        if name == "tiny":
            base = encode, decode
        print(
            f"{name}: {parameters / 1e6:.1f} M parameters, 256x256 encode {encode:.2f} s ({encode / base[0]:.1f} times "
            f"tiny), decode {decode:.2f} s ({decode / base[1]:.1f} times tiny)"
        )
