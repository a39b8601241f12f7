"""What the README says of the shipped codec's stream, measured: `make bench` prints it.

Pictures: the photographs in scikit-image's wheel, and Tiny-ImageNet's validation pictures where HIERLIB_DATA has them.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

import hierlib
from hierlib.codec import weights
from hierlib.codec.coders import CHECK_BITS
from hierlib.codec.likelihood import Likelihoods
from hierlib.codec.model import HierCodec
from hierlib.errors import DataError
from hierlib.files import shipped
from hierlib.images.packs import open_pack
from hierlib.images.pictures import demonstration

CUTS, PICTURES = 1000, 50


@pytest.fixture(scope="module")
def codec() -> HierCodec:
    return hierlib.load("tiny")


@pytest.fixture(scope="module")
def sets() -> dict[str, list[torch.Tensor]]:
    """By name, pictures of one size."""
    found = {"photographs 256x256": list(demonstration(256).values())}
    try:
        pack = open_pack("tiny-imagenet-val")
        found["Tiny-ImageNet 64x64"] = [pack[i * len(pack) // PICTURES] for i in range(PICTURES)]
    except DataError as error:
        print(error)
    return found


def test_a_thousand_random_cuts_hold_no_wrong_symbol(codec: HierCodec, sets: dict[str, list[torch.Tensor]]) -> None:
    random = np.random.default_rng(0)
    for name, images in sets.items():
        wrong = symbols = 0
        lag_bytes = []
        for turn in range(CUTS):
            if turn % (CUTS // len(images)) == 0:
                image = images[min(len(images) - 1, turn // (CUTS // len(images)))]
                stream = codec.encode(image)
                y = codec.network.analyse(image[None])[0].double().numpy()  # what was coded, from the encoder's side
                whole = codec.decoder().feed(stream)
                assert whole is not None
            cut = int(random.integers(1, len(stream)))
            part = codec.decoder().feed(stream[:cut])
            if part is None:
                continue
            for block, (low, high), mine in zip(whole.blocks, codec.slices, part.blocks, strict=False):
                truth = np.rint(y[low:high] - block.mu / 256).astype(int).ravel()[block.order]
                # rounding y - mu half way is the encoder's choice; every other symbol has one right value
                wrong += int((np.abs(mine.q - truth[: len(mine.q)]) > 1e-9).sum())
                symbols += len(mine.q)
            following = [b.needed_bytes[len(p.q)] for b, p in zip(whole.blocks, part.blocks) if len(p.q) < len(b.q)]
            if following and part.blocks[0].begun_bytes is not None:
                lag_bytes.append(following[0] + whole.header.length_bytes - cut)
        lag = np.mean(lag_bytes)
        print(f"{name}: {CUTS} random cuts, {symbols:,} symbols, {wrong} wrong; the next comes {lag:.2f} bytes on")
        assert wrong == 0


def test_real_bytes_against_estimated_bits(codec: HierCodec, sets: dict[str, list[torch.Tensor]]) -> None:
    """Whole files, and what of them is coded, against CompressAI's likelihoods and the integer tables' ideal bits."""
    tensors, _ = weights.read(shipped("checkpoints", "tiny.safetensors"))
    likelihoods = Likelihoods(codec.network.config.N_hyper).eval()
    own = {k.removeprefix("likelihood."): v for k, v in tensors.items() if k.startswith("likelihood.")}
    likelihoods.load_state_dict(own, strict=False)
    network = weights.load("tiny").network.float()
    for name, images in sets.items():
        files = payloads = ideal = estimated = 0.0
        for image in images:
            stream, bits = codec.encode_with_estimate(image)
            received = codec.decoder().feed(stream)
            assert received is not None
            assert received.body_bytes is not None
            with torch.no_grad():
                walked = likelihoods(network, image[None])
            files += len(stream)
            payloads += received.body_bytes - received.header.length_bytes
            ideal += bits / 8
            estimated += float(walked["bits_z"] + sum(part["bits"].sum() for part in walked["blocks"])) / 8
        n, checks = len(images), codec.levels * CHECK_BITS / 8
        symbols = payloads / n - checks
        print(
            f"{name}: file {files / n:.1f} B, of it symbols {symbols:.1f} B and checks {checks:.0f} B; likelihoods say "
            f"{estimated / n:.1f} B (symbols {symbols * n / estimated - 1:+.2%}, file {files / estimated - 1:+.2%}), "
            f"integer tables {ideal / n:.1f} B (symbols {symbols * n / ideal - 1:+.2%})"
        )
        assert abs(symbols * n / ideal - 1) < 0.01


def test_float64_against_float32(codec: HierCodec, sets: dict[str, list[torch.Tensor]]) -> None:
    """Time of the entropy path in float64, as used, over float32, as nobody should; one run, so a ratio."""
    z_hat = torch.randn(1, codec.network.config.N_hyper, 4, 4).double()
    single = weights.load("tiny").network.entropy.float()

    class Nothing:
        def code_block(self, block: int, log_sigma: torch.Tensor, mu: torch.Tensor) -> tuple[torch.Tensor, bool]:
            return mu, True

    def seconds(path, z: torch.Tensor) -> float:
        best = []
        with torch.no_grad():
            for _ in range(12):
                began = time.perf_counter()
                path.walk(z, Nothing())
                best.append(time.perf_counter() - began)
        return float(np.median(best))

    ratio = seconds(codec.network.entropy, z_hat) / seconds(single, z_hat.float())
    print(f"entropy path at 256x256, float64 over float32: {ratio:.2f} times")
    assert ratio > 0
