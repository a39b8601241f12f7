"""The file: a header of 6 bytes at 64x64, the arithmetic-coded payload, and a trailer.

    0      magic C2, and F with the version in the low four bits (F1)
    2      fingerprint of the model's decoder (3 bytes): networks and tables
    5      (width - 1) * 2 + square as a varint; then height - 1 as a varint unless square
    ...    payload: z, then the blocks; ends itself once every symbol is settled
    ...    trailer: bytes of header and z, then of each block, as varints; CRC-16 of everything before it (2 bytes)

The lengths come last, not first: a decoder of a prefix does not need them, and five bytes matter at the front of a
64-byte message but not at the end of the file.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from ..errors import BitstreamError
from .transforms import map_size

MAGIC, VERSION = 0xC2, 1
FINGERPRINT_BYTES = 3
MAX_PIXELS = 1 << 25  # padded, that a header may declare unless a codec is told otherwise: 8K video fits


@dataclass(frozen=True)
class Header:
    """Version, fingerprint (3 bytes), picture size in pixels, and the length of the header itself."""

    fingerprint: bytes
    height: int
    width: int
    length_bytes: int = 0


def write_header(header: Header) -> bytes:
    """The first bytes of a stream; ``length_bytes`` is not written, it follows."""
    square = header.height == header.width
    size = write_varint((header.width - 1) << 1 | square) + (b"" if square else write_varint(header.height - 1))
    return bytes([MAGIC, 0xF0 | VERSION]) + header.fingerprint + size


def read_header(prefix: bytes, max_pixels: int = MAX_PIXELS) -> Header | None:
    """The header of a stream, or None if the prefix ends inside it.

    Raises BitstreamError for what is no stream of ours, another version, or a padded size beyond ``max_pixels``.
    """
    if (prefix[:1] and prefix[0] != MAGIC) or (prefix[1:2] and prefix[1] >> 4 != 0xF):
        raise BitstreamError(f"This is no hierlib stream: it begins with {prefix[:2].hex(' ')}, not with c2 f1.")
    if prefix[1:2] and prefix[1] & 15 != VERSION:
        raise BitstreamError(
            f"This stream is of version {prefix[1] & 15}, this decoder of version {VERSION}: use a matching hierlib."
        )
    at = 2 + FINGERPRINT_BYTES
    first = read_varint(prefix, at)
    if first is None:
        return None
    packed, at = first
    width = height = (packed >> 1) + 1
    if not packed & 1:
        second = read_varint(prefix, at)
        if second is None:
            return None
        height, at = second[0] + 1, second[1]
    if padded_pixels(height, width) > max_pixels:
        raise BitstreamError(
            f"The header declares {width} x {height} pixels, padded more than {max_pixels:,}: the stream is damaged, "
            "or raise max_pixels of the codec if you trust it."
        )
    return Header(prefix[2 : 2 + FINGERPRINT_BYTES], height, width, at)


def padded_pixels(height: int, width: int) -> int:
    """What decoding costs memory for: sides are padded to multiples of 64, so a line of pixels costs 64 lines."""
    rows, columns = map_size(height, width, 1)
    return rows * columns


def write_trailer(body: bytes, parts_bytes: list[int]) -> bytes:
    """body: header and payload. parts_bytes: bytes of header with z, and of each block; they add up to the body."""
    lengths = b"".join(write_varint(n) for n in parts_bytes)
    return lengths + binascii.crc_hqx(body + lengths, 0).to_bytes(2, "big")


def read_trailer(stream: bytes, body_bytes: int, parts: int) -> tuple[int, ...] | None:
    """The lengths in the trailer behind ``body_bytes``, or None if the stream ends before the trailer does.

    Raises BitstreamError if the check fails, the lengths do not add up, or bytes follow.
    """
    at, lengths = body_bytes, []
    for _ in range(parts):
        read = read_varint(stream, at)
        if read is None:
            return None
        lengths.append(read[0])
        at = read[1]
    if len(stream) < at + 2:
        return None
    check = int.from_bytes(stream[at : at + 2], "big")
    if check != binascii.crc_hqx(stream[:at], 0) or sum(lengths) != body_bytes:
        raise BitstreamError(
            "The check at the end of the stream does not match its bytes: it is damaged, copy it again."
        )
    if len(stream) > at + 2:
        raise BitstreamError(f"{len(stream) - at - 2} bytes follow the end of the stream: cut it to {at + 2} bytes.")
    return tuple(lengths)


def find_trailer(stream: bytes, parts: int) -> tuple[int, ...] | None:
    """The lengths in the trailer of a whole stream, found from its end; None if it does not end in one."""
    end = len(stream) - 2
    # the last byte of each number is the only one below 128: find where the last ``parts`` numbers may begin
    ends = [at for at in range(max(0, end - 5 * parts), end) if stream[at] < 128][-parts:]
    if len(ends) < parts or ends[-1] != end - 1:
        return None
    for body_bytes in range(ends[0], max(-1, ends[0] - 5), -1):
        try:
            lengths = read_trailer(stream, body_bytes, parts)
        except BitstreamError:
            continue
        if lengths is not None:
            return lengths
    return None


def write_varint(value: int) -> bytes:
    """Seven bits a byte, least significant first, the top bit set on all bytes but the last."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def read_varint(data: bytes, at: int) -> tuple[int, int] | None:
    """(value, position behind it), or None if the data end inside it. BitstreamError beyond five bytes."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            return None
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise BitstreamError("A number in the stream is longer than five bytes: the stream is damaged.")
