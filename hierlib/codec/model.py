"""The codec in use: a picture -> one byte string; any prefix of it -> a picture.

codec = hierlib.load("tiny")
stream = codec.encode(image)            # (3, H, W) in [0, 1] -> bytes
decoded = codec.decode(stream[:400])    # never wrong: what the bytes do not settle is not used
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import BitstreamError, BudgetError
from ..images.pictures import check_picture
from . import container
from .coders import Block, Check, DecodingCoder, EncodingCoder
from .network import HierNetwork
from .protocol import Decoded
from .rangecoder import Decoder, Encoder, Tables
from .transforms import STRIDE_Y, STRIDE_Z, block_slices

UNKNOWN_SIZE = 64  # of the grey picture shown while not even the size has arrived


@dataclass(frozen=True)
class Received:
    """All that a prefix settles, as integers; ``HierCodec.decode_cuts`` makes pictures of it."""

    header: container.Header
    blocks: tuple[Block, ...]
    z_bytes: int  # of the payload, that settle what is settled of z
    body_bytes: int | None  # header and payload, once every symbol is settled
    trailer: tuple[int, ...] | None

    @property
    def level_ends(self) -> tuple[int, ...]:
        """Bytes of the stream after which each complete block is complete."""
        return tuple(self.header.length_bytes + int(b.needed_bytes[-1]) for b in self.blocks if b.complete)

    def begun_at(self, block: int, n_bytes: int) -> bool:
        """Whether the first ``n_bytes`` of the stream settle all that comes before the block's first symbol."""
        begun_bytes = self.blocks[block].begun_bytes
        return begun_bytes is not None and n_bytes - self.header.length_bytes >= begun_bytes

    def counts_at(self, n_bytes: int) -> list[int]:
        """How many symbols of each block the first ``n_bytes`` of the stream settle."""
        within = n_bytes - self.header.length_bytes
        return [int(np.searchsorted(block.needed_bytes, within, side="right")) for block in self.blocks]


class HierCodec:
    """A network with its tables, as a ProgressiveCodec.

    network: on the device where g_a and g_s run; its entropy path is turned to float64 here and works on one picture
    at a time. y_tables, z_tables: integer frequencies; medians: (N_hyper,) float, the centre of each channel's prior.
    """

    def __init__(
        self,
        network: HierNetwork,
        y_tables: Tables,
        z_tables: Tables,
        medians: Tensor,
        fingerprint: bytes,
        name: str = "codec",
    ):
        self.name, self.fingerprint = name, fingerprint
        self.network = network.eval().requires_grad_(False)
        self.network.entropy.double()
        self.y_tables, self.z_tables = y_tables, z_tables
        self.medians = medians.double()
        self.slices = block_slices(network.config.blocks)

    @property
    def levels(self) -> int:
        """How many levels (channel blocks) a stream has."""
        return len(self.slices)

    @property
    def device(self) -> torch.device:
        return next(self.network.g_s.parameters()).device

    # -- encoding

    @torch.no_grad()
    def encode(self, image: Tensor, max_bytes: int | None = None) -> bytes:
        """(3, H, W) float in [0, 1], H, W >= 1 -> the whole stream, or its first ``max_bytes``.

        Raises PictureError for what is no such picture, BudgetError for a budget below 1.
        """
        if max_bytes is not None and max_bytes < 1:
            raise BudgetError(
                f"A budget of {max_bytes} bytes holds nothing: give at least 1, or none for the whole stream."
            )
        return self.encode_with_estimate(image)[0][:max_bytes]

    @torch.no_grad()
    def encode_with_estimate(self, image: Tensor) -> tuple[bytes, float]:
        """The whole stream, and the ideal bits of z and all symbols under the integer tables: a check on the bytes."""
        image = check_picture(image)
        header = container.Header(self.fingerprint, image.shape[1], image.shape[2])
        head = container.write_header(header)
        y = self.network.analyse(_padded(image)[None].to(self.device))
        z = self.network.h_a(y)
        q_z, rows_z = self._hyper_values(z), self._hyper_rows(*z.shape[2:])
        encoder, check = Encoder(), Check(header.height, header.width)
        encoder.put_values(q_z, rows_z, self.z_tables)
        check.add(q_z)
        coder = EncodingCoder(y, self.slices, self.y_tables, encoder, check)
        self.network.entropy.walk(self._z_hat(q_z, *z.shape[2:]), coder)
        body = head + encoder.finish()
        received = self._receive(body)  # the encoder reads its own stream: where the blocks end, and that they do
        if received is None or received.body_bytes != len(body):
            raise RuntimeError("the encoder cannot read its own stream: a defect of hierlib or of this machine")
        ends = received.level_ends
        parts = [len(head) + (received.blocks[0].begun_bytes or 0)]
        parts += [end - begin for begin, end in zip([parts[0], *ends], ends, strict=False)]
        stream = body + container.write_trailer(body, parts)
        return stream, self.z_tables.ideal_bits(q_z, rows_z) + sum(coder.ideal_bits)

    # -- decoding

    def decode(self, prefix: bytes) -> Decoded:
        """Any prefix of a stream -> the picture that its bytes settle. A short prefix never raises.

        Raises BitstreamError for a stream of another model or version, and for a damaged one where the damage shows.
        """
        return self.decode_cuts(prefix, [len(prefix)])[0]

    @torch.no_grad()
    def decode_cuts(self, stream: bytes, cuts: Sequence[int]) -> list[Decoded]:
        """``[decode(stream[:n]) for n in cuts]``, with one walk over the blocks for all of them."""
        received = self._receive(stream)
        if received is None:
            grey = torch.full((3, UNKNOWN_SIZE, UNKNOWN_SIZE), 0.5)
            return [Decoded(grey, 0, 0, 0, 0, False) for _ in cuts]
        return [self._decoded(stream, received, min(n, len(stream))) for n in cuts]

    def _decoded(self, stream: bytes, received: Received, n_bytes: int) -> Decoded:
        header, blocks = received.header, received.blocks
        total = self.network.config.M * _cells(header.height, STRIDE_Y) * _cells(header.width, STRIDE_Y)
        if n_bytes < len(stream) and not received.begun_at(0, n_bytes):
            return self.decode(stream[:n_bytes])  # inside z the parameters themselves are not yet these
        counts = received.counts_at(n_bytes)
        image = self._picture(received, counts, n_bytes)
        level = sum(1 for block, count in zip(blocks, counts, strict=True) if count == block.index.size)
        settled = [int(b.needed_bytes[c - 1]) for b, c in zip(blocks, counts, strict=True) if c]
        complete = received.trailer is not None and n_bytes == len(stream)
        used_bytes = n_bytes if complete else header.length_bytes + max([received.z_bytes, *settled])
        return Decoded(image, level, sum(counts), total, used_bytes, complete)

    def _picture(self, received: Received, counts: list[int], n_bytes: int) -> Tensor:
        header, begun = received.header, []
        for number, (block, count) in enumerate(zip(received.blocks, counts, strict=True)):
            if number == 0 or received.begun_at(number, n_bytes):
                begun.append(block.values(count))
        y_hat = np.zeros((self.network.config.M, *begun[0].shape[1:]), dtype=np.float32)
        y_hat[: sum(len(b) for b in begun)] = np.concatenate(begun)
        x_hat = self.network.synthesise(torch.from_numpy(y_hat)[None].to(self.device))
        return x_hat[0, :, : header.height, : header.width].float().clamp(0, 1).cpu()

    @torch.no_grad()
    def _receive(self, prefix: bytes) -> Received | None:
        header = container.read_header(prefix)
        if header is None:
            return None
        if header.fingerprint != self.fingerprint:
            raise BitstreamError(
                f"This stream was made by model {header.fingerprint.hex()}, not by {self.name} "
                f"({self.fingerprint.hex()}): decode it with the model that encoded it."
            )
        height, width = _cells(header.height, STRIDE_Z), _cells(header.width, STRIDE_Z)
        decoder, check = Decoder(prefix[header.length_bytes :]), Check(header.height, header.width)
        rows = self._hyper_rows(height, width)
        q_z, _ = decoder.take_values(rows, self.z_tables)
        known = np.zeros(len(rows), dtype=np.int64)  # z that has not arrived stands at its median
        known[: len(q_z)] = q_z
        z_bytes = decoder.needed_bytes
        check.add(known)
        coder = DecodingCoder(self.y_tables, decoder, check)
        self.network.entropy.walk(self._z_hat(known, height, width), coder)
        body = trailer = None
        if len(coder.blocks) == self.levels and coder.blocks[-1].complete:
            body = header.length_bytes + decoder.needed_bytes
            trailer = container.read_trailer(prefix, body, self.levels + 1)
        return Received(header, tuple(coder.blocks), z_bytes, body, trailer)

    # -- hyper-latent

    def _hyper_values(self, z: Tensor) -> np.ndarray:
        """z (1, N_hyper, h, w) -> (N_hyper * h * w,) integers about the medians, channel by channel."""
        return torch.round(z[0].double() - self.medians.to(z.device)[:, None, None]).long().cpu().numpy().ravel()

    def _hyper_rows(self, height: int, width: int) -> np.ndarray:
        """The table row of each of those integers: its channel."""
        return np.repeat(np.arange(len(self.medians)), height * width)

    def _z_hat(self, values: np.ndarray, height: int, width: int) -> Tensor:
        """The inverse of ``_hyper_values``: (1, N_hyper, height, width) float64."""
        z = torch.from_numpy(values.reshape(len(self.medians), height, width)).double()
        return (z + self.medians.cpu()[:, None, None])[None].to(self.device)

    # -- about a stream

    def level_ends(self, stream: bytes) -> tuple[int, ...]:
        """Bytes after which each complete level of ``stream`` is complete: ends[0] is where the coarse block ends."""
        received = self._receive(stream)
        return () if received is None else received.level_ends

    def info(self, stream: bytes) -> dict[str, Any]:
        """What a stream, or a prefix of one, says of itself: version, model, size, where its parts end, its check."""
        received = self._receive(stream)
        if received is None:
            return {"bytes": len(stream), "header": "not complete: the first bytes are missing"}
        header, blocks = received.header, received.blocks
        ends = received.level_ends
        return {
            "version": container.VERSION,
            "model": self.name,
            "fingerprint": header.fingerprint.hex(),
            "width": header.width,
            "height": header.height,
            "bytes": len(stream),
            "bpp": round(8 * len(stream) / (header.height * header.width), 4),
            "header_bytes": header.length_bytes,
            "z_bytes": blocks[0].begun_bytes,
            "level_end_bytes": list(ends),
            "levels": f"{len(ends)} of {self.levels}",
            "symbols": sum(len(block.q) for block in blocks),
            "complete": received.trailer is not None,
            "check": "matches" if received.trailer is not None else "not there yet",
        }


def _cells(side: int, stride: int) -> int:
    """Places of a map at ``stride`` over a side padded to whole multiples of the coarsest stride."""
    return -(-side // STRIDE_Z) * (STRIDE_Z // stride)


def _padded(image: Tensor) -> Tensor:
    """Pad right and below to multiples of 64 by repeating the edge."""
    height, width = image.shape[1:]
    return F.pad(image[None], (0, -width % STRIDE_Z, 0, -height % STRIDE_Z), mode="replicate")[0]
