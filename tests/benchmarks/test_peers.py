"""The learned peers beside ours, in one run: cuts, bad streams, time, size, and the sanity of each mechanism.

Weights: those that ship. Pictures: Tiny-ImageNet's validation pictures where HIERLIB_DATA has them, else photographs.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from timing import seconds

import hierlib
from hierlib import baselines
from hierlib.baselines.deephq import DeepHQ
from hierlib.baselines.trits import TritPlanes
from hierlib.codec.coders import Block
from hierlib.codec.model import HierCodec
from hierlib.codec.weights import known
from hierlib.errors import BitstreamError, DataError
from hierlib.evaluation.rate import psnr_db
from hierlib.images.packs import open_pack
from hierlib.images.pictures import demonstration

PEERS = [name for name in known() if baselines.peer(name)]
PICTURES, CUTS, DAMAGED = 40, 1000, 2000


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    try:
        pack = open_pack("tiny-imagenet-val")
        return [pack[i * len(pack) // PICTURES] for i in range(PICTURES)]
    except DataError as error:
        print(error)
        return list(demonstration(64).values())


@pytest.fixture(scope="module", params=PEERS)
def codec(request: pytest.FixtureRequest) -> HierCodec:
    found = hierlib.load(request.param)
    assert isinstance(found, HierCodec)
    return found


def test_a_thousand_random_cuts_have_no_wrong_symbol(codec: HierCodec, pictures: list[torch.Tensor]) -> None:
    """Each prefix is decoded from nothing, against the symbols of y - mu as the encoder's side has them; of walks with
    several blocks against the whole stream, which the encoder has read back.
    """
    random = np.random.default_rng(0)
    wrong = symbols = 0
    for image in pictures:
        stream = codec.encode(image)
        whole = codec.decoder().feed(stream).blocks
        truth = [part.q for part in whole]
        if isinstance(codec, TritPlanes | DeepHQ):
            truth = [_symbols(codec, image, whole[0])]
        for cut in random.integers(0, len(stream), CUTS // len(pictures)):
            for number, part in enumerate(codec.decoder().feed(stream[:cut]).blocks):
                wrong += int((part.q != truth[number][: len(part.q)]).sum())
                symbols += len(part.q)
    print(f"{codec.name}: {CUTS:,} cuts of {len(pictures)} streams, {symbols:,} symbols, {wrong} wrong")
    assert wrong == 0


def _symbols(codec: TritPlanes | DeepHQ, image: torch.Tensor, whole: Block) -> np.ndarray:
    """What an encoder sends of the picture; ``whole``, decoded, is to be exactly that (trits: round(y - mu))."""
    y = codec.network.analyse(image[None])[0].double().numpy()
    truth = codec.record(whole.index, whole.mu)
    values = truth.quantised(y - whole.mu / 256)
    while len(truth.next_rows()):
        symbols = truth.next_symbols(values)
        truth.receive(symbols, symbols)
    assert np.array_equal(whole.values(), truth.values())
    if isinstance(codec, TritPlanes):
        assert np.array_equal(whole.values(), values.reshape(y.shape) + whole.mu / 256)
    return truth.q


def test_psnr_rises_with_the_bytes(codec: HierCodec, pictures: list[torch.Tensor]) -> None:
    """The curve over the bytes is monotone in the mean; how far a single picture ever falls is printed."""
    curves = []
    for image in pictures:
        stream = codec.encode(image)
        cuts = np.linspace(0.06, 1, 48) * len(stream)
        shown = [decoded.image for decoded in codec.decode_cuts(stream, [int(cut) for cut in cuts])]
        curves.append(psnr_db(torch.stack(shown), image[None].expand(len(shown), -1, -1, -1)).numpy())
    falls = np.maximum.accumulate(curves, 1) - curves
    mean = np.mean(curves, 0)
    print(f"{codec.name}: mean PSNR {mean[0]:.2f} to {mean[-1]:.2f} dB in {len(mean)} equal shares of the bytes, least "
          f"rise {np.diff(mean).min():+.3f} dB; one picture falls by at most {falls.max():.3f} dB")  # fmt: skip
    assert np.diff(mean).min() > -0.01


def test_bad_streams(codec: HierCodec, pictures: list[torch.Tensor]) -> None:
    random = np.random.default_rng(2)
    outcomes = {"refused": 0, "shown": 0}
    streams = [codec.encode(image) for image in pictures[:10]]
    for _ in range(DAMAGED):
        broken = bytearray(streams[random.integers(len(streams))])
        for position in random.integers(2, len(broken), random.integers(1, 5)):
            broken[position] = random.integers(0, 256)
        broken = broken[: random.integers(len(broken) + 1)] + random.bytes(int(random.integers(0, 4)))
        outcome = "refused"
        with contextlib.suppress(BitstreamError):
            assert torch.isfinite(codec.decode(bytes(broken)).image).all()
            outcome = "shown"
        outcomes[outcome] += 1
    print(f"{codec.name}: {DAMAGED:,} bad streams: {outcomes}")


def test_time_and_size_beside_ours(pictures: list[torch.Tensor]) -> None:
    image, photograph = pictures[0], demonstration(256)["coffee"]
    base: dict[str, float] = {}
    for name in ("tiny", *PEERS):
        codec = hierlib.load(name)
        found = {"parameters": codec.parameter_counts["all"] / 1e6, "encoder": codec.parameter_counts["encoder"] / 1e6}
        for size, shown in (("64", image), ("256", photograph)):
            stream = codec.encode(shown)
            found[f"encode {size}"] = seconds(lambda: codec.encode(shown)) * 1000  # noqa: B023
            found[f"decode {size}"] = seconds(lambda: codec.decode(stream)) * 1000  # noqa: B023
        base = base or found
        told = [f"{what} {value:.1f} ms ({value / base[what]:.2f})" for what, value in list(found.items())[2:]]
        print(f"{name}: {found['parameters']:.3f} M parameters, {found['encoder']:.3f} M of them in encoding; "
              f"{', '.join(told)}")  # fmt: skip
