"""Write the conformance vectors: streams, cuts of them, and what every machine must find in each cut.

python tests/vectors/make.py tiny      # after new weights were shipped
python tests/vectors/make.py toy       # only with a new version of the format: toy.safetensors is frozen with it
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hierlib.codec import coders, weights  # noqa: E402
from hierlib.codec.model import HierCodec  # noqa: E402
from hierlib.files import write_bytes, write_json  # noqa: E402
from hierlib.images.shapes import shapes  # noqa: E402


def load(model: str) -> HierCodec:
    """The codec whose vectors are meant: toy.safetensors beside this file, or shipped weights."""
    own = HERE / f"{model}.safetensors"
    return weights.load(own if own.exists() else model)


def pictures() -> dict[str, torch.Tensor]:
    """Small, and each with something that a decoder may get wrong."""
    drawn, random = shapes(4, seed=11), torch.Generator().manual_seed(11)
    wide = torch.cat([drawn[1], drawn[2], drawn[3]], 2)
    return {
        "square": drawn[0],
        "wide": wide[:, :40, :130],  # not square, padded, two hyper-latents beside each other
        "one-pixel": torch.tensor([0.9, 0.5, 0.1]).view(3, 1, 1),
        "flat": torch.full((3, 64, 64), 0.25),  # next to nothing to send
        "noise": torch.rand(3, 64, 64, generator=random).round(),  # outliers: escapes
    }


def with_exceptions(codec: HierCodec, image: torch.Tensor) -> bytes:
    """By an encoder whose parameters are off by far more than rounding noise, and which is as careful as that asks.

    So the exceptions say other integers than a decoder computes: one that ignores them goes astray.
    """
    noise, exact, guard = torch.Generator().manual_seed(11), coders.integers, coders.GUARD

    def disturbed(log_sigma: torch.Tensor, mu: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        off = [torch.rand(log_sigma.shape, generator=noise).to(mu) * 1e-4 - 5e-5 for _ in range(2)]
        return exact(log_sigma + off[0], mu + off[1])

    coders.integers, coders.GUARD = disturbed, 0.03  # twice 5e-5 of mu is 0.026 of its grid
    try:
        return codec.encode(image)
    finally:
        coders.integers, coders.GUARD = exact, guard


def with_hyper_escapes(codec: HierCodec, image: torch.Tensor) -> bytes:
    """With a z that no prior expects: z is side information, so any is decodable."""
    exact = codec.hyper_values
    codec.hyper_values = lambda z: exact(z) + 300 * (-1) ** np.arange(z.numel()) * (np.arange(z.numel()) % 5 == 0)  # type: ignore[method-assign]
    try:
        return codec.encode(image)
    finally:
        del codec.hyper_values


def facts(codec: HierCodec, prefix: bytes) -> dict:
    """What a prefix settles: symbols of each block begun, and digests of its parameters and of those symbols."""
    received = codec.decoder().feed(prefix)
    begun = [block for block in received.blocks if block.begun_bytes is not None]
    return {
        "bytes": len(prefix),
        "symbols": [len(block.q) for block in begun],
        "parameters": [digest(block.index, block.mu, block.order) for block in begun],
        "values": [digest(block.q) for block in begun],
        "complete": received.trailer is not None,
    }


def digest(*arrays: np.ndarray) -> str:
    """First 16 hexadecimal digits of SHA-256 over the arrays as int64 little-endian numbers."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return hashed.hexdigest()[:16]


def main(model: str) -> None:
    codec, found = load(model), []
    streams = {name: codec.encode(image) for name, image in pictures().items()}
    streams["exceptions"] = with_exceptions(codec, pictures()["square"])
    streams["hyper-escape"] = with_hyper_escapes(codec, pictures()["square"])
    for name, stream in streams.items():
        write_bytes(HERE / model / f"{name}.c2f", stream)
        ends = codec.level_ends(stream)
        cuts = sorted({*range(min(40, len(stream))), *range(40, len(stream), 61), *ends, *(e - 1 for e in ends)})
        found.append({"stream": f"{name}.c2f", "cuts": [facts(codec, stream[:n]) for n in [*cuts, len(stream)]]})
    about = {"model": model, "fingerprint": codec.fingerprint.hex(), "blocks": list(codec.network.config.blocks)}
    write_json(HERE / model / "vectors.json", about | {"vectors": found})


if __name__ == "__main__":
    main(sys.argv[1])
