"""Time and memory of the codec at the paper's size, and of a cold start; ratios within one run, two threads."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from raster import RasterCoder
from timing import seconds

import hierlib
from hierlib.codec import weights
from hierlib.codec.config import PAPER, CodecConfig
from hierlib.codec.likelihood import Likelihoods
from hierlib.codec.model import HierCodec
from hierlib.codec.network import HierNetwork
from hierlib.images.pictures import demonstration, save_picture


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def untrained_parts(config: CodecConfig) -> tuple[HierNetwork, Likelihoods]:
    """Networks of ``config`` with a PCA start and spread scales, so that there are symbols to decode."""
    torch.manual_seed(0)
    network, likelihoods = HierNetwork(replace(config, linear_path=True)), Likelihoods(config.N_hyper)
    network.start_from(torch.stack([image[:, :256, :256] for image in demonstration(256).values()]), step=48.0)
    with torch.no_grad():
        network.entropy.parameters_net.head.weight.mul_(4)
    return network, likelihoods


def untrained(config: CodecConfig) -> HierCodec:
    """Those networks as a codec."""
    network, likelihoods = untrained_parts(config)
    about = {"config": network.config.to_json()}
    return weights.assemble(weights.export(network, likelihoods), about, "untrained")


@pytest.fixture(scope="module")
def paper() -> tuple[HierCodec, bytes]:
    codec = untrained(PAPER)
    return codec, codec.encode(demonstration(256)["coffee"])


@pytest.mark.timeout(1200)
def test_decode_at_the_papers_size(paper: tuple[HierCodec, bytes]) -> None:
    codec, stream = paper
    received = codec.decoder().feed(stream)
    y_hat = torch.randn(1, PAPER.M, 16, 16)
    with torch.inference_mode():
        g_s = seconds(lambda: codec.network.synthesise(y_hat))
    walk = seconds(lambda: codec.decoder().feed(stream))
    whole = seconds(lambda: codec.decode(stream))
    entropy = codec.network.entropy
    z_hat = codec.z_hat(received._z, 4, 4)
    with torch.inference_mode():
        P = entropy.h_s(z_hat)
        y = torch.randn(1, PAPER.M, 16, 16).double()
        parts = {"h_s": seconds(lambda: entropy.h_s(z_hat)), "C": 2 * seconds(lambda: entropy.context(y))}
        features = torch.cat([P, P], 1)
        parts["H, f"] = sum(seconds(lambda b=block: entropy.parameters_net(features, b)) for block in range(3))
    parts["order, coder, checks"] = max(0.0, walk - sum(parts.values()))
    print(
        f"256x256, {len(stream):,} bytes, paper's size: g_s {g_s * 1e3:.0f} ms; whole decode {whole / g_s:.2f} times "
        f"g_s (bar 2.5), of it before g_s: {', '.join(f'{k} {v / g_s:.2f}' for k, v in parts.items())}"
    )
    single = untrained(PAPER)
    single.network.entropy.float()
    single.z_hat = lambda *arguments: codec.z_hat(*arguments).float()  # type: ignore[method-assign]
    stream32 = single.encode(demonstration(256)["coffee"])  # decodes here, in this process, with these threads
    narrow = seconds(lambda: single.decode(stream32))
    print(f"float64 decode over float32: {whole / narrow:.2f} times (bar 1.6)")
    with torch.no_grad():
        context, head = entropy.context.float(), entropy.parameters_net.float()
        P32, y32 = P.float(), torch.from_numpy(received.blocks[0].values()).float()[None]
        y32 = torch.nn.functional.pad(y32, (0, 0, 0, 0, 0, PAPER.M - y32.shape[1]))
    for whole_crop in (True, False):
        raster = RasterCoder(context, head, whole_crop)
        coded, y_back = raster.encode(y32, P32)
        began = time.perf_counter()
        found = raster.decode(coded, P32)
        took = time.perf_counter() - began
        assert torch.equal(found, y_back)
        what = "as TIC's code runs it" if whole_crop else "with one window a place, which TIC's code could"
        print(f"raster scan in float32, {what}: {took:.2f} s, {took / walk:.1f} times our walk, {(took + g_s) / whole:.1f} times whole to whole")  # fmt: skip  # noqa: E501
    entropy.double()


def test_cold_start(tmp_path: Path) -> None:
    picture, stream = tmp_path / "picture.png", tmp_path / "stream.c2f"
    save_picture(demonstration(256)["coffee"], picture)
    stream.write_bytes(hierlib.load("tiny").encode(demonstration(256)["coffee"]))
    decode = [sys.executable, "-m", "hierlib", "decode", str(stream), "-o", str(tmp_path / "out.png")]
    torch_alone = [sys.executable, "-c", "import torch"]

    def run(command: list[str]) -> float:
        return seconds(lambda: subprocess.run(command, check=True, capture_output=True), times=5)

    alone, ours = run(torch_alone), run(decode)
    print(f"cold start: python -m hierlib decode takes {ours:.2f} s, import torch {alone:.2f} s: {ours - alone:.2f} s more (bar 2)")  # fmt: skip  # noqa: E501


def peak_mib(*command: str) -> float:
    """Largest resident memory of a command, MiB."""
    process = subprocess.Popen([sys.executable, "-m", "hierlib", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("model", "sides"), [("tiny", (64, 256, 2048, 4096)), ("paper", (64, 256, 2048))])
def test_peak_memory(tmp_path: Path, model: str, sides: tuple[int, ...]) -> None:
    picture, stream, out = (str(tmp_path / name) for name in ("picture.png", "stream.c2f", "out.png"))
    name = model
    if model == "paper":
        name = str(tmp_path / "paper.safetensors")
        network, likelihoods = untrained_parts(PAPER)
        weights.save(Path(name), network, likelihoods, {"name": model})
    photograph = demonstration(512)["coffee"][None]
    for side in sides:
        save_picture(torch.nn.functional.interpolate(photograph, (side, side), mode="bicubic")[0].clamp(0, 1), picture)
        encoding = peak_mib("encode", picture, "-o", stream, "--model", name)
        decoding = peak_mib("decode", stream, "-o", out, "--model", name)
        size = Path(stream).stat().st_size
        print(
            f"{model}, {side}x{side}, {size:,} bytes: peak {encoding:,.0f} MiB to encode, {decoding:,.0f} MiB to decode"
        )
