"""CompressAI's architectures as members of the comparison: one rate a file, no prefix, for speed and rate beside ours.

>>> codec = ZooCodec.from_file("runs/zoo64-mbt2018-mean/zoo.safetensors")     # doctest: +SKIP
>>> codec.decode(codec.encode(image)).complete                              # doctest: +SKIP
True

The models, their priors and their rANS coder are CompressAI's own, so that the numbers are what its users know. What is
ours is the file about its strings (its library writes none): our header, their lengths, and a CRC-32, without which the
coder would decode a damaged string to garbage or crash. It reads on the machine that wrote it: their entropy path is
float32, on another processor it may disagree.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..codec import container
from ..codec.protocol import Decoded
from ..errors import BitstreamError, CheckpointError, PictureError
from ..files import read_weights, replacing
from ..images.pictures import check_picture

if TYPE_CHECKING:
    from torch import Tensor, nn

KIND = "hierlib-zoo"
CHECK_BYTES = 4


class ZooCodec:
    """A CompressAI model as a codec of whole files. network: ``update()``-d; architecture: its name in the zoo.

    Not portable: its library takes indices and means from float32 networks, which differ from machine to machine.
    """

    cut, portable = "the whole file", False

    def __init__(self, network: nn.Module, architecture: str, fingerprint: bytes, name: str):
        self.network: Any = network.eval().requires_grad_(False)
        self.name, self.architecture, self.fingerprint = name, architecture, fingerprint
        self.max_pixels = container.MAX_PIXELS

    @classmethod
    def from_file(cls, path: str | Path, name: str = "") -> ZooCodec:
        """From what ``save`` wrote. Raises CheckpointError for a file that is missing, damaged or of another kind."""
        tensors, about = read_weights(Path(path), KIND)
        try:
            network = build(about["architecture"], **about["sizes"])
            network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
        except (KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"{path} does not hold the model it describes ({error}): copy it again.") from None
        return cls(network, about["architecture"], fingerprint(tensors), name or about.get("name", Path(path).stem))

    @property
    def parameter_counts(self) -> dict[str, int]:
        """Numbers in the networks: of "all", and of the "encoder", which runs all but the way back to the picture."""
        from ..codec.network import numbers_in

        every = numbers_in(self.network)
        return {"all": every, "encoder": every - numbers_in(self.network.g_s)}

    def encode(self, image: Tensor) -> bytes:
        """(3, H, W) float in [0, 1] -> the whole file. Raises PictureError for what is no such picture or too large."""
        import torch

        image = check_picture(image)
        height, width = image.shape[1:]
        if container.padded_pixels(height, width) > self.max_pixels:
            raise PictureError(f"The picture has {width} x {height} pixels, {self.name} takes {self.max_pixels:,}.")
        rows, columns = (-side % self.network.downsampling_factor for side in (height, width))
        with torch.inference_mode():
            padded = torch.nn.functional.pad(image[None], (0, columns, 0, rows), mode="replicate")
            strings = [of_one[0] for of_one in self.network.compress(padded)["strings"]]
        lengths = b"".join(container.write_varint(len(string)) for string in strings)
        body = container.write_header(container.Header(self.fingerprint, height, width)) + lengths + b"".join(strings)
        return body + zlib.crc32(body).to_bytes(CHECK_BYTES, "big")

    def decode(self, prefix: bytes) -> Decoded:
        """The whole file -> the picture; less of it -> mid-grey, as large as the header says if it is there.

        Raises BitstreamError for a file of other weights, and for a damaged one.
        """
        import torch

        header = container.read_header(prefix, self.max_pixels)
        if header is None:
            return _nothing(1, 1)
        if header.fingerprint != self.fingerprint:
            raise BitstreamError(
                f"This file was made by model {header.fingerprint.hex()}, not by {self.name} "
                f"({self.fingerprint.hex()}): decode it with the weights that encoded it."
            )
        at, lengths = header.length_bytes, []
        for _ in range(self._string_count):
            read = container.read_varint(prefix, at)
            if read is None:
                return _nothing(header.height, header.width)
            lengths.append(read[0])
            at = read[1]
        end = at + sum(lengths)
        if len(prefix) < end + CHECK_BYTES:
            return _nothing(header.height, header.width)
        if len(prefix) > end + CHECK_BYTES:
            raise BitstreamError(f"{len(prefix) - end - CHECK_BYTES} bytes follow the end of the file: leave them out.")
        if int.from_bytes(prefix[end:], "big") != zlib.crc32(prefix[:end]):
            raise BitstreamError("The check at the end of the file does not match its bytes: damaged, copy it again.")
        strings = []
        for length in lengths:
            strings.append([prefix[at : at + length]])
            at += length
        stride = (
            64 if self._string_count > 1 else 16
        )  # of the latent that is decoded first: z, or y where there is none
        factor = self.network.downsampling_factor
        shape = [-(-side // factor) * factor // stride for side in (header.height, header.width)]
        with torch.inference_mode():
            x_hat = self.network.decompress(strings, shape)["x_hat"][0, :, : header.height, : header.width]
        return Decoded(x_hat.clamp(0, 1), 1, 0, 0, bytes_used=len(prefix), complete=True)

    @property
    def _string_count(self) -> int:
        return 2 if hasattr(self.network, "h_s") else 1


def architectures() -> dict[str, Any]:
    """CompressAI's image models by name."""
    from compressai.zoo.image import model_architectures

    return dict(model_architectures)


def build(architecture: str, **sizes: int) -> nn.Module:
    """An untrained model, ``N`` and where it takes one ``M`` channels wide. CheckpointError for an unknown name."""
    known = architectures()
    if architecture not in known:
        raise CheckpointError(f"CompressAI has no architecture {architecture}: it has {', '.join(known)}.")
    return known[architecture](**sizes)


def save(path: Path, network: nn.Module, architecture: str, sizes: dict[str, int], about: dict[str, Any]) -> None:
    """Write a model with its integer tables, whole or not at all. Weights as float16, of which the tables are made."""
    from safetensors.torch import save_file

    finished: Any = build(architecture, **sizes)
    trained = network.state_dict()
    finished.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in trained.items()})
    finished.update(force=True)
    tensors = {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous()
        for k, v in finished.state_dict().items()
    }
    description = {**about, "architecture": architecture, "sizes": sizes}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"kind": KIND, "about": json.dumps(description)})


def fingerprint(tensors: dict[str, Tensor]) -> bytes:
    """Three bytes of a hash over all weights and tables."""
    hashed = hashlib.sha256()
    for key in sorted(tensors):
        hashed.update(key.encode() + tensors[key].contiguous().numpy().tobytes())
    return hashed.digest()[: container.FINGERPRINT_BYTES]


def _nothing(height: int, width: int) -> Decoded:
    import torch

    return Decoded(torch.full((3, height, width), 0.5), 0, 0, 0, bytes_used=0, complete=False)
