"""Where the packets of a JPEG 2000 codestream end, read from the packet headers alone (ISO/IEC 15444-1, Annex B.10).

A codestream may carry a table of packet lengths (the PLT marker), but it stands before the first packet and costs
60 bytes at 64x64 and 450 at 256x256, more than the budgets at which small pictures are compared. A JPEG 2000 decoder
does not need it: each packet's header tells how long its body is. Nor do we.

Read here is what Pillow's encoder writes and no more: one tile, layer-resolution-component-position order, one
precinct per resolution, one codeword segment per code-block and layer, no SOP or EPH markers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class OutOfData(Exception):
    """The prefix ends inside a packet header: not an error of anybody's, the packet has just not arrived."""


class Bits:
    """The bits of a packet header, most significant first, without those stuffed after a byte of 0xFF."""

    def __init__(self, content: bytes, position: int) -> None:
        self.content, self.position = content, position
        self.byte = self.left = 0

    def bit(self) -> int:
        if self.left == 0:
            if self.position >= len(self.content):
                raise OutOfData
            self.left = 7 if self.byte == 0xFF else 8
            self.byte = self.content[self.position]
            self.position += 1
        self.left -= 1
        return (self.byte >> self.left) & 1

    def number(self, width: int) -> int:
        value = 0
        for _ in range(width):
            value = 2 * value + self.bit()
        return value

    def align(self) -> int:
        """Position of the first byte after the header; a final 0xFF is followed by one stuffed byte."""
        if self.byte == 0xFF:
            self.position += 1
            if self.position > len(self.content):
                raise OutOfData
        return self.position


class TagTree:
    """Annex B.10.2: a quad-tree of minima whose values become known as far as a threshold asks."""

    def __init__(self, width: int, height: int) -> None:
        self.widths, count, self.starts = [], 0, []
        while True:
            self.widths.append(width)
            self.starts.append(count)
            count += width * height
            if width * height <= 1:
                break
            width, height = (width + 1) // 2, (height + 1) // 2
        self.low = [0] * count
        self.known = [False] * count

    def below(self, x: int, y: int, threshold: int, bits: Bits) -> bool:
        """Is the value at leaf (x, y) below the threshold? Reads no more bits than the answer needs."""
        low = 0
        for depth in reversed(range(len(self.widths))):
            node = self.starts[depth] + (y >> depth) * self.widths[depth] + (x >> depth)
            low = max(low, self.low[node])
            while low < threshold and not self.known[node]:
                if bits.bit():
                    self.known[node] = True
                else:
                    low += 1
            self.low[node] = low
        return self.known[node] and low < threshold


class Band:
    """The code-blocks of one sub-band, in raster order, with what earlier packets told of them."""

    def __init__(self, width: int, height: int, block_width: int, block_height: int) -> None:
        across, down = -(-width // block_width), -(-height // block_height)
        self.blocks = [(x, y) for y in range(down) for x in range(across)] if width and height else []
        self.inclusion, self.missing_planes = TagTree(across, down), TagTree(across, down)
        self.length_bits = [0] * len(self.blocks)  # 0: not included yet

    def body(self, layer: int, bits: Bits) -> int:
        """Bytes that this band adds to the body of the packet of ``layer``."""
        total = 0
        for index, (x, y) in enumerate(self.blocks):
            if self.length_bits[index]:
                if not bits.bit():
                    continue
            else:
                if not self.inclusion.below(x, y, layer + 1, bits):
                    continue
                threshold = 1
                while not self.missing_planes.below(x, y, threshold, bits):
                    threshold += 1
                self.length_bits[index] = 3
            passes = _coding_passes(bits)
            while bits.bit():
                self.length_bits[index] += 1
            total += bits.number(self.length_bits[index] + passes.bit_length() - 1)
        return total


def _coding_passes(bits: Bits) -> int:
    """Table B.4: how many coding passes follow."""
    if not bits.bit():
        return 1
    if not bits.bit():
        return 2
    for base, width in ((3, 2), (6, 5)):
        value = bits.number(width)
        if value < (1 << width) - 1:
            return base + value
    return 37 + bits.number(7)


@dataclass(frozen=True)
class Packet:
    """One packet: its place in the order, the byte after it, and the bytes of its body (0: it says nothing)."""

    layer: int
    resolution: int
    component: int
    end: int
    body_bytes: int


def packets(
    content: bytes, start: int, width: int, height: int, layers: int, resolutions: int, block: tuple[int, int]
) -> Iterator[Packet]:
    """The whole packets that ``content`` holds from byte ``start`` on, in the order of the codestream.

    width, height: of the picture; block: nominal code-block size. Ends quietly where the bytes end.
    """
    bands = [_bands(width, height, resolutions, block) for _ in range(3)]
    position = start
    for layer in range(layers):
        for resolution in range(resolutions):
            for component in range(3):
                bits = Bits(content, position)
                try:
                    body = 0
                    if bits.bit():
                        body = sum(band.body(layer, bits) for band in bands[component][resolution])
                    position = bits.align() + body
                except OutOfData:
                    return
                if position > len(content):
                    return
                yield Packet(layer, resolution, component, position, body)


def _bands(width: int, height: int, resolutions: int, block: tuple[int, int]) -> list[list[Band]]:
    """The sub-bands of each resolution of one component (Annex B.5): LL, then HL, LH, HH of each finer one."""
    levels = resolutions - 1

    def low(size: int, depth: int) -> int:
        return -(-size // (1 << depth))

    def high(size: int, depth: int) -> int:
        return max(0, -(-(size - (1 << (depth - 1))) // (1 << depth)))

    bands = [[Band(low(width, levels), low(height, levels), *block)]]
    for depth in range(levels, 0, -1):
        shapes = (
            (high(width, depth), low(height, depth)),
            (low(width, depth), high(height, depth)),
            (high(width, depth), high(height, depth)),
        )
        bands.append([Band(*shape, *block) for shape in shapes])
    return bands
