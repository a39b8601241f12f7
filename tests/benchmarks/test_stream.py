"""What the README says of the shipped codec's stream, measured: `make bench` prints it.

Pictures: the photographs in scikit-image's wheel, and Tiny-ImageNet's validation pictures where HIERLIB_DATA has them.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tqdm import tqdm

import hierlib
from hierlib.codec import weights
from hierlib.codec.coders import CHECK_BITS
from hierlib.codec.likelihood import Likelihoods
from hierlib.codec.model import HierCodec
from hierlib.codec.receiver import StreamDecoder
from hierlib.errors import DataError
from hierlib.evaluation.rate import psnr_db
from hierlib.files import shipped
from hierlib.images.packs import open_pack
from hierlib.images.pictures import demonstration

PICTURES = 50


@pytest.fixture(scope="module")
def codec() -> HierCodec:
    return hierlib.load("tiny")


def pictures(side: int) -> dict[str, list[torch.Tensor]]:
    """By name, pictures of one size: photographs of ``side`` (a multiple of 64), and Tiny-ImageNet's."""
    found = {f"photographs {side}x{side}": list(demonstration(side).values())}
    try:
        pack = open_pack("tiny-imagenet-val")
        found["Tiny-ImageNet 64x64"] = [pack[i * len(pack) // PICTURES] for i in range(PICTURES)]
    except DataError as error:
        print(error)
    return found


def ideal_bytes(codec: HierCodec, whole: StreamDecoder) -> list[np.ndarray]:
    """Of each block, where in the stream an ideal coder would have sent each symbol."""
    assert whole.header is not None
    at, found = whole.header.length_bytes + whole.z_bytes, []
    tables = codec.y_tables
    for block in whole.blocks:
        bits = tables.bits_of(block.q, block.rows)
        found.append(at + CHECK_BITS / 8 + np.cumsum(bits) / 8)
        at = found[-1][-1]
    return found


def test_every_cut_of_every_stream(codec: HierCodec) -> None:
    """Each prefix is decoded from nothing: no wrong symbol, none late, and no byte that makes the picture worse."""
    for name, images in pictures(128).items():
        prefixes = wrong = symbols = 0
        lag_bytes, fall_db = [], []
        for image in tqdm(images, desc=name, leave=False):
            stream = codec.encode(image)
            whole = codec.decoder().feed(stream)
            assert whole.header is not None
            y = codec.network.analyse(image[None])[0].double().numpy()
            truth = [
                np.rint(y[low:high] - block.mu / 256).astype(int).ravel()[block.order]  # from the encoder's side
                for block, (low, high) in zip(whole.blocks, codec.slices)
            ]
            quality = []
            for cut in range(whole.header.length_bytes, len(stream) + 1):
                part = codec.decoder().feed(stream[:cut])
                for mine, right in zip(part.blocks, truth):
                    wrong += int((mine.q != right[: len(mine.q)]).sum())
                    symbols += len(mine.q)
                assert [len(block.q) for block in part.blocks] == whole.counts_at(cut)[: len(part.blocks)]
                quality.append(float(psnr_db(part.picture().image[None], image[None])))
                prefixes += 1
            fall_db.append((np.maximum.accumulate(quality) - quality).max())
            for block, ideal in zip(whole.blocks, ideal_bytes(codec, whole)):
                lag_bytes.append(block.needed_bytes + whole.header.length_bytes - ideal)
        lag = np.concatenate(lag_bytes)
        print(
            f"{name}: {len(images)} streams, {prefixes:,} prefixes, {symbols:,} symbols, {wrong} wrong; a symbol comes "
            f"{lag.mean():.2f} bytes after an ideal coder's, at most {lag.max():.2f}; PSNR falls by at most "
            f"{max(fall_db):.3f} dB from the header on"
        )
        assert wrong == 0
        assert max(fall_db) < 0.1


def test_real_bytes_against_estimated_bits(codec: HierCodec) -> None:
    """Whole files, and what of them is coded, against CompressAI's likelihoods and the integer tables' ideal bits."""
    tensors, _ = weights.read(shipped("checkpoints", "tiny.safetensors"))
    likelihoods = Likelihoods(codec.network.config.N_hyper).eval()
    own = {k.removeprefix("likelihood."): v for k, v in tensors.items() if k.startswith("likelihood.")}
    likelihoods.load_state_dict(own, strict=False)
    network = weights.load("tiny").network.float()
    for name, images in pictures(256).items():
        files = payloads = ideal = estimated = 0.0
        for image in images:
            stream, bits = codec.encode_with_estimate(image)
            received = codec.decoder().feed(stream)
            assert received.header is not None
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
