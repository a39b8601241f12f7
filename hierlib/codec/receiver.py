"""The receiving end of a stream: bytes in, in pieces of any size; at any moment the picture that they settle.

decoder = codec.decoder()
for chunk in link:
    decoder.feed(chunk)             # does only what the new bytes allow: no block is walked twice
    show(decoder.picture().image)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import BitstreamError
from . import container
from .coders import Block, Check, DecodingCoder
from .protocol import Decoded
from .rangecoder import Decoder
from .transforms import STRIDE_Z, map_size

if TYPE_CHECKING:
    from .model import HierCodec

UNKNOWN_SIZE = 64  # of the grey picture shown while not even the size has arrived


class StreamDecoder:
    """What has been received of one stream, as integers and as pictures. Made by ``HierCodec.decoder``.

    header: None until it is complete. blocks: those whose parameters are known, the last one perhaps incomplete.
    z_bytes: of the payload, that settle what is settled of z. body_bytes: header and payload, once every symbol is
    settled. trailer: the lengths it holds, once it is there and its check matches.
    """

    def __init__(self, codec: HierCodec):
        self._codec, self._stream = codec, bytearray()
        self.header: container.Header | None = None
        self.blocks: list[Block] = []
        self.z_bytes = 0
        self.body_bytes: int | None = None
        self.trailer: tuple[int, ...] | None = None
        self._decoder, self._z, self._rows_z = Decoder(), *np.zeros((2, 0), dtype=np.int64)
        self._steps: Iterator[Tensor] | None = None
        self._coder: DecodingCoder | None = None
        self._shown: tuple[tuple, Tensor] | None = None
        self._opening: Tensor | None = None
        self._failure: BitstreamError | None = None

    def __len__(self) -> int:
        """Bytes fed so far."""
        return len(self._stream)

    # -- receiving

    def feed(self, chunk: bytes) -> StreamDecoder:
        """The next bytes of the stream, of any number; returns itself.

        Raises BitstreamError where they cannot be those of a stream of this model, and again at every later call.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._receive(bytes(chunk))
        except BitstreamError as error:
            self._failure = error
            raise
        return self

    @torch.no_grad()
    def _receive(self, chunk: bytes) -> None:
        self._stream += chunk
        if self.header is None:
            self._read_header()
            if self.header is None:
                return
            chunk = bytes(self._stream[self.header.length_bytes :])
        if self.body_bytes is None:
            self._decoder.extend(chunk)
            if self._steps is None:
                self._receive_z()
            for _ in self._steps or ():
                if self._coder is not None and self._coder.waiting:
                    return  # bytes are missing: the walk waits here
            if self._steps is not None:
                self.body_bytes = self.header.length_bytes + self._decoder.needed_bytes
        if self.body_bytes is not None and self.trailer is None:
            self.trailer = container.read_trailer(bytes(self._stream), self.body_bytes, len(self.blocks) + 1)
            if self.trailer is not None and tuple(np.cumsum(self.trailer)[1:]) != self.block_ends:
                raise BitstreamError("The lengths in the trailer are not those of the blocks: the stream is damaged.")
        elif self.trailer is not None and chunk:
            raise BitstreamError(f"{len(chunk)} bytes follow the end of the stream: leave them out.")

    def _read_header(self) -> None:
        self.header = header = container.read_header(bytes(self._stream), self._codec.max_pixels)
        if header is None:
            return
        if header.fingerprint != self._codec.fingerprint:
            self.header = None
            raise BitstreamError(self._codec.of_another_model(header.fingerprint))
        self._rows_z = self._codec.hyper_rows(*self._map_size(STRIDE_Z))

    def _receive_z(self) -> None:
        more, _ = self._decoder.take_values(self._rows_z[len(self._z) :], self._codec.z_tables)
        self._z = np.append(self._z, more)
        self.z_bytes = self._decoder.needed_bytes
        if self._decoder.damaged:
            raise BitstreamError("The first bytes behind the header are none that an encoder writes: damaged.")
        if len(self._z) == len(self._rows_z):
            self._begin()

    def _begin(self) -> None:
        """Start the walk: z is known."""
        self._coder, self._steps = self._walk(self._z, self._decoder)
        self.blocks = self._coder.blocks

    def _walk(self, z: np.ndarray, decoder: Decoder) -> tuple[DecodingCoder, Iterator[Tensor]]:
        """The blocks of this z's integers, as ``decoder`` has them."""
        assert self.header is not None
        places = self._map_size(STRIDE_Z)
        check = Check(self.header.height, self.header.width)
        check.add(z)
        coder = self._codec.decoding_coder(decoder, check, places)
        return coder, self._codec.network.entropy.steps(self._codec.z_hat(z, *places), coder)

    def _map_size(self, stride: int) -> tuple[int, int]:
        assert self.header is not None
        return map_size(self.header.height, self.header.width, stride)

    # -- showing

    def picture(self) -> Decoded:
        """The picture that all bytes so far settle. The same tensor again while nothing new is settled."""
        return self.picture_at(len(self._stream))

    @torch.no_grad()
    def picture_at(self, n_bytes: int) -> Decoded:
        """The picture that the first ``n_bytes`` of what was fed settle."""
        n_bytes = min(n_bytes, len(self._stream))
        if self.header is None or n_bytes < self.header.length_bytes:
            return Decoded(torch.full((3, UNKNOWN_SIZE, UNKNOWN_SIZE), 0.5), 0, 0, 0, 0, False)
        counts = self.counts_at(n_bytes)
        if not counts or counts[0] < min(self._codec.opening_symbols, self.blocks[0].size):
            total = self._total(n_bytes)
            return Decoded(self._opening_image(), 0, sum(counts), total, self.header.length_bytes, False)
        level = sum(block.levels(count) for block, count in zip(self.blocks, counts, strict=True))
        settled = [int(b.needed_bytes[c - 1]) for b, c in zip(self.blocks, counts, strict=True) if c]
        complete = self.trailer is not None and n_bytes == len(self._stream)
        used = n_bytes if complete else self.header.length_bytes + max([self.blocks[0].begun_bytes or 0, *settled])
        image = self._image([b for j, b in enumerate(self.blocks) if self._begun_at(j, n_bytes)], counts)
        return Decoded(image, level, sum(counts), self._total(n_bytes), used, complete)

    def _opening_image(self) -> Tensor:
        """What a picture of this size looks like of which nothing is known: z at its median, block 1 at its mean.

        It stays until a few symbols are there: what z alone suggests is nearer to most pictures, and further from some.
        """
        if self._opening is None:
            coder, steps = self._walk(np.zeros(len(self._rows_z), dtype=np.int64), Decoder())
            next(steps)
            self._opening = self._made([coder.blocks[0].values(0)])
        return self._opening

    def _image(self, blocks: list[Block], counts: list[int]) -> Tensor:
        key = (len(blocks), *counts[: len(blocks)])
        if self._shown is None or self._shown[0] != key:
            self._shown = key, self._made([block.values(count) for block, count in zip(blocks, counts)])
        return self._shown[1]

    def _made(self, values: list[np.ndarray]) -> Tensor:
        assert self.header is not None
        return self._codec.show(values, self.header.height, self.header.width)

    # -- where the bytes are

    @property
    def block_ends(self) -> tuple[int, ...]:
        """Bytes of the stream after which each complete block is complete."""
        head = 0 if self.header is None else self.header.length_bytes
        return tuple(head + int(b.needed_bytes[-1]) for b in self.blocks if b.complete)

    @property
    def level_ends(self) -> tuple[int, ...]:
        """Bytes of the stream after which each complete level is complete: of our codec a block is one."""
        head = 0 if self.header is None else self.header.length_bytes
        return tuple(head + end for block in self.blocks for end in block.level_ends)

    def counts_at(self, n_bytes: int) -> list[int]:
        """How many symbols of each of ``blocks`` the first ``n_bytes`` of the stream settle."""
        within = n_bytes - (0 if self.header is None else self.header.length_bytes)
        return [int(np.searchsorted(block.needed_bytes, within, side="right")) for block in self.blocks]

    def _begun_at(self, block: int, n_bytes: int) -> bool:
        """Whether the first ``n_bytes`` of the stream settle all that comes before the block's first symbol."""
        if self.header is None or block >= len(self.blocks):
            return False
        begun_bytes = self.blocks[block].begun_bytes
        return begun_bytes is not None and n_bytes - self.header.length_bytes >= begun_bytes

    def _total(self, n_bytes: int) -> int:
        """Symbols of the stream, as far as its first ``n_bytes`` tell: how many a block has may depend on z."""
        assert self.header is not None
        height, width = self._map_size(self._codec.network.stride)
        known = self.blocks if n_bytes - self.header.length_bytes >= self.z_bytes else []
        return self._codec.symbols_total(known, height * width)
