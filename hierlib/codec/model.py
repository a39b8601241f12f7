"""The codec in use: a picture -> one byte string; any prefix of it -> a picture.

codec = hierlib.load("tiny")
stream = codec.encode(image)            # (3, H, W) in [0, 1] -> bytes
decoded = codec.decode(stream[:400])    # never wrong: what the bytes do not settle is not used
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import BudgetError, PictureError
from ..images.pictures import check_picture
from . import container, tiles
from .coders import Block, Check, DecodingCoder, EncodingCoder, quantised_values
from .network import HierNetwork, numbers_in
from .protocol import Decoded
from .rangecoder import Decoder, Encoder
from .receiver import StreamDecoder
from .tables import Tables
from .transforms import STRIDE_Z, block_slices, map_size

MARGIN_BYTES = 8  # beyond a budget that are coded too: the coder's last bytes depend on what follows


class HierCodec:
    """A network with its tables, as a ProgressiveCodec.

    network: on the device where g_a and g_s run; its entropy path is turned to float64 here and works on one picture
    at a time. y_tables, z_tables: integer frequencies; medians: (N_hyper,) float, the centre of each channel's prior.
    method: of the codec, as its weights file calls it; networks: what is assembled from it; record: what a block is;
    encoding_coder, decoding_coder: what the walk is walked with. Peers (baselines) have others.
    opening_symbols: of the first block, 1 or more, before which a receiver shows the average picture of that size.
    max_pixels: pictures, and sizes that a header declares, that have more when padded to multiples of 64 are refused
    before anything is allocated.
    """

    method, cut, portable = "blocks", "any byte", True
    opening_symbols = 8
    networks: type[HierNetwork] = HierNetwork

    def __init__(
        self,
        network: HierNetwork,
        y_tables: Tables,
        z_tables: Tables,
        medians: Tensor,
        fingerprint: bytes,
        name: str = "codec",
    ):
        self.name, self.fingerprint, self.max_pixels = name, fingerprint, container.MAX_PIXELS
        self.network = network.eval().requires_grad_(False)
        self.network.entropy.double()
        self.y_tables, self.z_tables = y_tables, z_tables
        self.medians = medians.double().cpu()
        self.slices = block_slices(network.config.blocks)

    @property
    def levels(self) -> int:
        """How many levels (channel blocks) a stream has."""
        return len(self.slices)

    def take(self, tensors: dict[str, Tensor]) -> None:
        """What else of a weights file the method needs; of ours nothing."""

    def record(self, index: np.ndarray, mu: np.ndarray) -> Block:
        """A block of these scale indices and means, (C, h, w) integers each, of which nothing is received."""
        return Block.of(index, mu)

    def encoding_coder(self, y: Tensor, z: Tensor, encoder: Encoder, check: Check) -> EncodingCoder:
        """What writes the blocks of y, (1, M, h, w); z is written, as far as ``hyper_values`` says."""
        return EncodingCoder(y, self.slices, self.y_tables, encoder, check, self.record)

    def decoding_coder(self, decoder: Decoder, check: Check, places: tuple[int, int]) -> DecodingCoder:
        """What reads them. places: height and width of z."""
        return DecodingCoder(self.y_tables, decoder, check, self.record)

    @property
    def parameter_counts(self) -> dict[str, int]:
        """Numbers in the networks: of "all", and of the "encoder", which runs all but the way back to the picture."""
        linear = getattr(self.network, "linear", None)
        back = [self.network.g_s, *([linear.inverse_conv] if linear is not None else [])]
        every = numbers_in(self.network)
        return {"all": every, "encoder": every - numbers_in(*back)}

    @property
    def device(self) -> torch.device:
        return next(self.network.g_s.parameters()).device

    # -- encoding

    def encode(self, image: Tensor, max_bytes: int | None = None) -> bytes:
        """(3, H, W) float in [0, 1], H, W >= 1 -> the whole stream, or exactly its first ``max_bytes``.

        With a budget only as many blocks are coded as it holds. Raises PictureError for what is no such picture or
        has more than ``max_pixels``, BudgetError for a budget below 1.
        """
        return self.encode_with_estimate(image, max_bytes)[0]

    def encode_batch(self, images: Sequence[Tensor] | Tensor, max_bytes: int | None = None) -> list[bytes]:
        """Pictures of one size, (B, 3, H, W) or a sequence -> a stream each. g_a and h_a see all of them at once.

        Another batch size may round a coefficient differently (float32), so that a stream differs by a few bytes from
        that of ``encode``; every one of them decodes everywhere.
        """
        return [stream for stream, _ in self._encoded([check_picture(image) for image in images], max_bytes)]

    def encode_with_estimate(self, image: Tensor, max_bytes: int | None = None) -> tuple[bytes, float]:
        """The stream, and the ideal bits of z and all symbols coded under the integer tables: a check on the bytes."""
        return self._encoded([check_picture(image)], max_bytes)[0]

    @torch.no_grad()
    def _encoded(self, images: list[Tensor], max_bytes: int | None) -> list[tuple[bytes, float]]:
        if max_bytes is not None and max_bytes < 1:
            raise BudgetError(
                f"A budget of {max_bytes} bytes holds nothing: give at least 1, or none for the whole stream."
            )
        if len(sizes := {tuple(image.shape) for image in images}) > 1:
            raise PictureError(f"Pictures of one batch have one size; these have {len(sizes)}: encode them one by one.")
        if not images:
            return []
        height, width = images[0].shape[1:]
        if container.padded_pixels(height, width) > self.max_pixels:
            raise PictureError(
                f"The picture has {width} x {height} pixels, padded more than {self.max_pixels:,}: shrink it, or raise "
                "max_pixels of the codec here and where it is decoded."
            )
        header = container.Header(self.fingerprint, height, width)
        y, z = self.latents(torch.stack(images).to(self.device))
        return [self._coded(header, y[i : i + 1], z[i : i + 1], max_bytes) for i in range(len(images))]

    def latents(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) on the codec's device -> y (B, M, h, w) and z, not quantised. Whoever has another y
        for a picture, because it searched for it, says so here: every y can be written, and decodes everywhere.
        """
        y = tiles.analyse(self.network, _padded(images))
        return y, self.network.h_a(y)

    def _coded(self, header: container.Header, y: Tensor, z: Tensor, max_bytes: int | None) -> tuple[bytes, float]:
        """One picture's latents -> stream and ideal bits."""
        head, map_size = container.write_header(header), z.shape[2:]
        q_z, rows_z = self.hyper_values(z), self.hyper_rows(*map_size)
        encoder, check = Encoder(), Check(header.height, header.width)
        encoder.put_values(q_z, rows_z, self.z_tables)
        check.add(q_z)
        coder = self.encoding_coder(y, z, encoder, check)
        enough = None if max_bytes is None else max_bytes + MARGIN_BYTES - len(head)
        for _ in self.network.entropy.steps(self.z_hat(q_z, *map_size), coder):
            if enough is not None and encoder.length_bytes >= enough:
                break
        bits = self.z_tables.ideal_bits(q_z, rows_z) + coder.ideal_bits
        payload = encoder.finish()
        body = head + payload
        if len(coder.blocks) < len(self.slices):
            return body[:max_bytes], bits
        ends = self._proof_read(header, payload, q_z, coder)
        parts_bytes = [len(head) + ends[0], *(int(n) for n in np.diff(ends))]
        return (body + container.write_trailer(body, parts_bytes))[:max_bytes], bits

    def _proof_read(self, header: container.Header, payload: bytes, q_z: np.ndarray, coded: EncodingCoder) -> list[int]:
        """Read the payload back, under the parameters it was written with; bytes to z's end and each block's."""
        decoder, check = Decoder(payload), Check(header.height, header.width)
        places = map_size(header.height, header.width, STRIDE_Z)
        z, _ = decoder.take_values(self.hyper_rows(*places), self.z_tables)
        check.add(z)
        reader = self.decoding_coder(decoder, check, places)
        same = np.array_equal(z, q_z)
        for number, (block, parameters) in enumerate(zip(coded.blocks, coded.parameters, strict=True)):
            same &= reader.code_block(number, *parameters) is not None and np.array_equal(reader.blocks[-1].q, block.q)
        if not same or decoder.needed_bytes != len(payload):
            raise RuntimeError("the encoder cannot read its own stream: a defect of hierlib or of this machine")
        return [reader.blocks[0].begun_bytes or 0, *(int(block.needed_bytes[-1]) for block in reader.blocks)]

    # -- decoding

    def decoder(self) -> StreamDecoder:
        """A receiver for one stream that is fed chunk by chunk; ``picture()`` at any moment."""
        return StreamDecoder(self)

    def decode(self, prefix: bytes) -> Decoded:
        """Any prefix of a stream -> the picture that its bytes settle. A short prefix never raises.

        Raises BitstreamError for a stream of another model or version, and for a damaged one where the damage shows.
        """
        return self.decoder().feed(prefix).picture()

    def decode_cuts(self, stream: bytes, cuts: Sequence[int]) -> list[Decoded]:
        """``[decode(stream[:n]) for n in cuts]``, with one walk over the blocks for all of them."""
        received = self.decoder().feed(stream)
        return [received.picture_at(n) for n in cuts]

    def show(self, values: Sequence[np.ndarray], height: int, width: int) -> Tensor:
        """y_hat of the blocks that are begun, (C, h, w) each -> the picture, later blocks being zero."""
        y_hat = np.zeros((self.network.config.M, *values[0].shape[1:]), dtype=np.float32)
        y_hat[: sum(map(len, values))] = np.concatenate(values)
        return self.synthesise(y_hat, height, width)

    def symbols_total(self, blocks: Sequence[Block], places: int) -> int:
        """Of a stream: of ``blocks``, and of blocks whose parameters are not known yet, one a coefficient.

        places: of a map of y.
        """
        unknown = self.network.config.M * places - sum(block.index.size for block in blocks)
        return unknown + sum(block.size for block in blocks)

    @torch.no_grad()
    def synthesise(self, y_hat: np.ndarray, height: int, width: int) -> Tensor:
        """y_hat (M, h, w) float32 -> x_hat (3, height, width) float32 in [0, 1]."""
        x_hat = tiles.synthesise(self.network, torch.from_numpy(y_hat)[None].to(self.device))
        return x_hat[0, :, :height, :width].float().clamp(0, 1).cpu()

    # -- hyper-latent

    def hyper_values(self, z: Tensor) -> np.ndarray:
        """z (1, N_hyper, h, w) -> (N_hyper * h * w,) integers about the medians, channel by channel: sent first."""
        centred = z[0].detach().double().cpu() - self.medians[:, None, None]
        return quantised_values(centred.numpy()).ravel()

    def hyper_rows(self, height: int, width: int) -> np.ndarray:
        """The table row of each of z's integers, (N_hyper * height * width,): its channel."""
        return np.repeat(np.arange(len(self.medians)), height * width)

    def z_hat(self, values: np.ndarray, height: int, width: int) -> Tensor:
        """z's integers about the medians, channel by channel -> (1, N_hyper, height, width) float64."""
        z = torch.from_numpy(values.reshape(len(self.medians), height, width)).double()
        return (z + self.medians[:, None, None])[None].to(self.device)

    # -- about a stream

    def level_ends(self, stream: bytes) -> tuple[int, ...]:
        """Bytes after which each complete level of ``stream`` is complete: ends[0] is where the coarse block ends.

        A whole stream says it in its trailer; of a prefix the blocks are walked.
        """
        parts_bytes = container.find_trailer(stream, self.levels + 1)
        if parts_bytes is not None:
            return tuple(int(end) for end in np.cumsum(parts_bytes)[1:])
        return self.decoder().feed(stream).level_ends

    def info(self, stream: bytes) -> dict[str, Any]:
        """What a stream, or a prefix of one, says of itself: version, model, size, where its parts end, its check."""
        received = self.decoder().feed(stream)
        header, blocks = received.header, received.blocks
        if header is None:
            return {"bytes": len(stream), "header": "not complete: the first bytes are missing"}
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
            "z_bytes": blocks[0].begun_bytes if blocks else None,
            "level_end_bytes": list(ends),
            "levels": f"{len(ends)} of {self.levels}",
            "symbols": sum(len(block.q) for block in blocks),
            "complete": received.trailer is not None,
            "check": "matches" if received.trailer is not None else "not there yet",
        }

    def of_another_model(self, fingerprint: bytes) -> str:
        """The sentence for a stream whose header names another model."""
        from .weights import known_as

        name = known_as(fingerprint)
        found = f"{name} ({fingerprint.hex()})" if name else fingerprint.hex()
        advice = f"decode it with {name}" if name else "decode it with the weights that encoded it"
        return f"This stream was made by model {found}, not by {self.name} ({self.fingerprint.hex()}): {advice}."


def _padded(images: Tensor) -> Tensor:
    """(B, 3, H, W), padded right and below to multiples of 64 by repeating the edge."""
    height, width = images.shape[2:]
    return F.pad(images, (0, -width % STRIDE_Z, 0, -height % STRIDE_Z), mode="replicate")
