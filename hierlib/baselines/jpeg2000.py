"""JPEG 2000 with quality layers, one file that is cut at packet boundaries: the classical floor of every comparison.

Pillow (OpenJPEG) writes and reads the files. Three things are ours, because without them the comparison is unfair:

* A naive cut is black (Pillow with LOAD_TRUNCATED_IMAGES) or has a garbled last packet (OpenJPEG's partial decoding).
  ``decode`` keeps the whole packets of the prefix, patches the length of the tile part and closes the codestream.
* The comment and the table of packet lengths are not stored: headers count, and a decoder can find the packets
  without them (packets.py). 104 bytes of header are left at 64x64.
* The colour transform is switched on (``mct``). Pillow leaves it out unless asked, which costs 2 to 6 dB at 4,096 bytes
  of a photograph of 227x227 and 256x256: red, green and blue are then coded as if they had nothing in common.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..codec.protocol import Decoded
from ..errors import BitstreamError, BudgetError, PictureError
from ..images.pictures import check_picture, from_array, to_uint8
from .packets import Packet, packets
from .search import largest_within

if TYPE_CHECKING:
    from torch import Tensor

SOC_SIZ, COD, COM, SOT, SOD, EOC = (bytes.fromhex(m) for m in ("ff4fff51", "ff52", "ff64", "ff90", "ff93", "ffd9"))
PIXELS_MAX = 1 << 26
SIDE_MAX = 1 << 15  # beyond it a resolution has several precincts
FINEST_BPP = 6.0  # of the whole file: 30 to 40 dB
TARGETS = 1 << 8  # of sizes to bisect for a budget: steps of 0.8 % of it


@dataclass(frozen=True)
class Header:
    """What the main header and the tile-part header say; positions in bytes."""

    width: int
    height: int
    layers: int
    resolutions: int
    block: tuple[int, int]
    sot: int  # position of the tile-part header
    start: int  # position of the first packet
    total: int  # length of the whole stream

    @property
    def packets_total(self) -> int:
        return self.layers * self.resolutions * 3


class LayeredJPEG2000:
    """One embedded JPEG 2000 codestream a picture: irreversible wavelet, layer progression (LRCP).

    layers: quality layers; None: 20, fewer below 160x160, where each costs a noticeable 12 bytes.
    rates:  compression ratio of each layer (raw bytes / file bytes, falling); None: geometric, from about 200 bytes to
            FINEST_BPP. Measured on Tiny-ImageNet, 64x64: within 0.2 dB of a fresh file per budget from 160 bytes on.

    ``Decoded.level`` counts whole layers, ``Decoded.symbols`` whole packets (0 as long as none has a body).
    """

    name, cut, portable = "jpeg2000", "a packet", True

    def __init__(self, layers: int | None = None, rates: Sequence[float] | None = None) -> None:
        if layers is not None and not 1 <= layers <= 1000:
            raise BudgetError(f"JPEG 2000 was asked for {layers} quality layers: ask for 1 to 1000.")
        if rates is not None and (not len(rates) or not all(rate >= 1 for rate in rates)):
            raise BudgetError(
                f"JPEG 2000 was asked for the rates {list(rates)}: give compression ratios of 1 and above."
            )
        if layers is not None and rates is not None and layers != len(rates):
            raise BudgetError(f"{layers} layers and {len(rates)} rates contradict each other: give one of the two.")
        self.layers, self.rates = layers, None if rates is None else sorted(rates, reverse=True)
        self.colour_transform = True  # told by results: those made before it was on are not of this codec

    def encode(self, image: Tensor) -> bytes:
        """(3, H, W) float in [0, 1] -> the whole codestream. Raises PictureError for no picture, or a huge one."""
        image = check_picture(image)
        _, height, width = image.shape
        return _encode(image, self.rates or _rates(width, height, self.layers))

    def decode(self, prefix: bytes) -> Decoded:
        """Any prefix -> the picture of its whole packets; mid-grey without one, (3, 1, 1) while the size is unknown.

        Raises BitstreamError for bytes that are no stream of this codec.
        """
        return self.decode_cuts(prefix, [len(prefix)])[0]

    def decode_cuts(self, stream: bytes, cuts: Sequence[int]) -> list[Decoded]:
        """``[decode(stream[:n]) for n in cuts]``, but the packets are looked for once."""
        if min(cuts, default=0) < 0:
            raise BudgetError(f"A stream was to be cut at {min(cuts)} bytes: cut at 0 or more.")
        longest = stream[: max(cuts, default=0)]
        header = _header(longest)
        whole = _packets(longest, header) if header else []
        images: dict[int, Tensor] = {}
        return [_decode(longest[:n], header, whole, images) for n in cuts]

    def level_ends(self, stream: bytes) -> tuple[int, ...]:
        """Bytes after which each quality layer is complete."""
        header = _header(stream)
        if header is None:
            return ()
        per_layer = header.resolutions * 3
        return tuple(packet.end for packet in _packets(stream, header)[per_layer - 1 :: per_layer])


class FreshJPEG2000(LayeredJPEG2000):
    """A file of one layer for each budget: what JPEG 2000 can do when it need not be progressive."""

    name, cut = "jpeg2000-fresh", "a packet, of a file for each budget"

    def __init__(self) -> None:
        super().__init__(layers=1)

    def encode_within(self, image: Tensor, max_bytes: int) -> bytes:
        """The largest file of at most ``max_bytes``, by bisection on the rate; b"" if none is that small."""
        image = check_picture(image)
        targets = 2 * max_bytes / TARGETS * np.arange(1, TARGETS + 1)
        raw_bytes = image.numel()
        return largest_within(
            lambda target: _encode(image, [max(1.0, raw_bytes / target)]), targets.tolist(), max_bytes
        )


def _rates(width: int, height: int, layers: int | None) -> list[float]:
    pixels = width * height
    if layers is None:
        layers = int(np.clip(round(3 * np.log2(pixels)) - 24, 1, 20))
    last_bytes = max(1.0, FINEST_BPP * pixels / 8)
    first_bytes = min(170 + pixels / 1000, last_bytes)
    targets = np.geomspace(first_bytes, last_bytes, layers) if layers > 1 else [last_bytes]
    return [max(1.0, 3 * pixels / target) for target in targets]


def _encode(image: Tensor, rates: Sequence[float]) -> bytes:
    _, height, width = image.shape
    if max(height, width) > SIDE_MAX or height * width > PIXELS_MAX:
        raise PictureError(
            f"JPEG 2000 here takes up to {SIDE_MAX} a side and {PIXELS_MAX} pixels; this is {width}x{height}."
        )
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(
        buffer,
        "JPEG2000",
        quality_mode="rates",
        quality_layers=list(rates),
        num_resolutions=int(np.clip(np.log2(min(height, width)) - 2, 1, 6)),
        progression="LRCP",
        irreversible=True,
        mct=1,
        plt=False,
        no_jp2=True,
    )
    return _without(buffer.getvalue(), COM)


def _without(codestream: bytes, marker: bytes) -> bytes:
    """The codestream less the segments of one marker in its main header."""
    kept, position = codestream[:2], 2
    while (found := codestream[position : position + 2]) != SOT:
        after = position + 2 + int.from_bytes(codestream[position + 2 : position + 4], "big")
        kept += b"" if found == marker else codestream[position:after]
        position = after
    return kept + codestream[position:]


def _size(prefix: bytes) -> tuple[int, int] | None:
    """(width, height) as soon as they have arrived."""
    if prefix[:4] != SOC_SIZ[: len(prefix)]:
        raise BitstreamError(
            "These bytes are no JPEG 2000 codestream: one begins with FF4F FF51. Decode what encode returned."
        )
    if len(prefix) < 16:
        return None
    width, height = struct.unpack(">II", prefix[8:16])
    if not (1 <= width <= SIDE_MAX and 1 <= height <= SIDE_MAX and width * height <= PIXELS_MAX):
        raise BitstreamError(
            f"The JPEG 2000 header says {width}x{height} pixels, which this codec never writes: it is damaged."
        )
    return width, height


def _header(prefix: bytes) -> Header | None:
    """The header of a prefix, None while it is incomplete. Raises BitstreamError if _encode never writes it."""
    size = _size(prefix)
    position, coding = 2, b""
    while size and position + 4 <= len(prefix):
        marker, length = prefix[position : position + 2], int.from_bytes(prefix[position + 2 : position + 4], "big")
        segment = prefix[position + 4 : position + 2 + length]
        if marker[0] != 0xFF or length < 2:
            raise BitstreamError(f"The JPEG 2000 header has no marker at byte {position}: it is damaged.")
        if marker == COD:
            coding = segment
        if marker == SOT:
            start = position + 2 + length + 2
            if len(prefix) < start:
                return None
            # Scod, progression, layers (2), component transform, levels, block size (2), block style, wavelet
            if (
                len(coding) != 10
                or coding[:2] != b"\0\0"
                or coding[8]
                or prefix[start - 2 : start] != SOD
                or length != 10
            ):
                raise BitstreamError(
                    "This JPEG 2000 codestream was not written by this codec (or its header is damaged)."
                )
            layers, resolutions = int.from_bytes(coding[2:4], "big"), coding[5] + 1
            if resolutions > 33 or not layers or max(coding[6:8]) > 8:
                raise BitstreamError("The coding style in this JPEG 2000 header is impossible: it is damaged.")
            total = position + int.from_bytes(segment[2:6], "big") + 2
            return Header(*size, layers, resolutions, (4 << coding[6], 4 << coding[7]), position, start, total)
        position += 2 + length
    return None


def _packets(stream: bytes, header: Header) -> list[Packet]:
    """The whole packets in a prefix. Raises BitstreamError where a whole stream does not add up."""
    if len(stream) > header.total:
        raise BitstreamError(
            f"The JPEG 2000 stream has {len(stream)} bytes, its header says {header.total}: it is damaged."
        )
    found = list(
        packets(
            stream[: header.total - 2],
            header.start,
            header.width,
            header.height,
            header.layers,
            header.resolutions,
            header.block,
        )
    )
    if len(stream) == header.total:
        end = found[-1].end if found else header.start
        if (len(found), end, stream[-2:]) != (header.packets_total, header.total - 2, EOC):
            raise BitstreamError(
                f"The packets of this JPEG 2000 stream do not add up to its {header.total} bytes: it is damaged."
            )
    return found


def _decode(prefix: bytes, header: Header | None, found: list[Packet], images: dict[int, Tensor]) -> Decoded:
    """images: pictures already decoded, by number of packets, shared by the cuts of one stream."""
    size = _size(prefix)
    if header is None or len(prefix) < header.start:
        return _nothing(size, 0)
    whole = list(takewhile(lambda packet: packet.end <= len(prefix), found))
    if not any(packet.body_bytes for packet in whole):
        return _nothing(size, header.packets_total)
    if len(whole) not in images:
        tile = bytearray(prefix[: whole[-1].end])
        struct.pack_into(">I", tile, header.sot + 6, len(tile) - header.sot)
        images[len(whole)] = _read(bytes(tile) + EOC, header)
    complete = len(prefix) == header.total
    return Decoded(
        image=images[len(whole)],
        level=len(whole) // (header.resolutions * 3),
        symbols=len(whole),
        symbols_total=header.packets_total,
        bytes_used=len(prefix) if complete else whole[-1].end,
        complete=complete,
    )


def _read(codestream: bytes, header: Header) -> Tensor:
    try:
        with Image.open(io.BytesIO(codestream), formats=["JPEG2000"]) as opened:
            if opened.size != (header.width, header.height) or opened.mode != "RGB":
                raise BitstreamError(
                    f"The JPEG 2000 stream holds a {opened.mode} picture of {opened.size}: it is damaged."
                )
            return from_array(np.asarray(opened))
    except (OSError, SyntaxError, ValueError) as error:
        raise BitstreamError(f"The JPEG 2000 stream cannot be decoded ({error}): it is damaged.") from None


def _nothing(size: tuple[int, int] | None, packets_total: int) -> Decoded:
    import torch

    width, height = size or (1, 1)
    grey = torch.full((3, height, width), 0.5)
    return Decoded(grey, level=0, symbols=0, symbols_total=packets_total, bytes_used=0, complete=False)
