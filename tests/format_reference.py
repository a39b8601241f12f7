"""A decoder written from hierlib/codec/FORMAT.md and nothing else: plain integers, one function a section, slow.

Of hierlib it takes the networks alone, which FORMAT.md defines by their code. It decodes a prefix from its first
byte and remembers nothing between prefixes. Where it and hierlib disagree, one of the three is wrong.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import math
import zlib
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from hierlib.codec.config import CodecConfig
from hierlib.codec.network import HierNetwork

BIT = [0, 32768, 65536]
EXCEPTIONS = [0, 65535, 65536]
STEP = (math.log(256) - math.log(0.11)) / 63
GRID_LIMIT = 2**39 - 1
MAX_PIXELS = 2**25


class Damage(ValueError):
    """These bytes are no stream of this model, or no longer one."""


class Missing(Exception):
    """The prefix ends here: what comes next is not settled."""


@dataclass
class Block:
    """index, grid: of every element, in channel, row, column order. order: where each q in coding order lies."""

    index: np.ndarray
    grid: np.ndarray
    order: np.ndarray
    q: list[int] = field(default_factory=list)


@dataclass
class Decoded:
    """What a prefix says.

    size: (height, width), None inside the header. ends_bytes: where header, first check and each block end in it.
    lengths_bytes: what the trailer says of them, None where it is not all there.
    """

    size: tuple[int, int] | None = None
    z: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    ends_bytes: list[int] = field(default_factory=list)
    lengths_bytes: list[int] | None = None


class Weights:
    """A weights file: fingerprint (section 7), tables (section 3), networks in float64 (section 5)."""

    def __init__(self, path: Path):
        with safe_open(path, "np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
            self.config = CodecConfig.from_json(json.loads(file.metadata()["about"])["config"])
        self.fingerprint = fingerprint(tensors)
        self.network = HierNetwork(self.config)
        own = {name.removeprefix("network."): torch.from_numpy(tensor) for name, tensor in tensors.items()}
        self.network.load_state_dict({name: own[name] for name in self.network.state_dict()})
        self.network.double().eval()
        self.medians = tensors["tables.medians"].astype(np.float64)
        self.y, self.z = table(tensors, "y"), table(tensors, "z")


def header(data: bytes) -> tuple[int, int, int, bytes] | None:
    """Section 1: (height, width, bytes of the header, fingerprint), or None if the prefix ends inside it."""
    if data[:1] not in (b"", b"\xc2") or data[1:2] not in (b"", b"\xf1"):
        raise Damage("no stream of version 1")
    try:
        number, at = varint(data, 5)
        width, height = number // 2 + 1, number // 2 + 1
        if number % 2 == 0:
            number, at = varint(data, at)
            height = number + 1
    except Missing:
        return None
    if math.ceil(height / 64) * math.ceil(width / 64) * 4096 > MAX_PIXELS:
        raise Damage(f"{height} x {width} pixels")
    return height, width, at, data[2:5]


def z_map(size: tuple[int, int]) -> tuple[int, int]:
    """Section 1: rows and columns of z; y has four times as many of both."""
    height, width = size
    return -(-height // 64), -(-width // 64)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Section 1: the number that begins at byte ``at``, and where it ends."""
    number = 0
    for i in range(5):
        if at + i >= len(data):
            raise Missing
        number |= (data[at + i] & 127) << (7 * i)
        if data[at + i] < 128:
            return number, at + i + 1
    raise Damage("a varint of more than five bytes")


class RangeDecoder:
    """Section 2, over a payload that may be cut anywhere."""

    def __init__(self, payload: bytes):
        self.payload, self.at, self.range = payload, 4, 2**32 - 1
        self.code = int.from_bytes(payload[:4].ljust(4, b"\0"), "big")

    def symbol(self, cumulative: list[int]) -> int:
        unit = self.range >> 16
        if self.code >= unit << 16:
            raise Damage("a number that no encoder writes")
        k = bisect_right(cumulative, self.code // unit) - 1
        low, high = cumulative[k] * unit, cumulative[k + 1] * unit
        missing = min(4, max(0, self.at - len(self.payload)))
        if self.code + 256**missing - 1 >= high:
            raise Missing
        self.last = self.code, self.at, low, high
        self.code, self.range = self.code - low, high - low
        while self.range < 2**24:
            byte = self.payload[self.at] if self.at < len(self.payload) else 0
            self.code, self.at, self.range = self.code << 8 | byte, self.at + 1, self.range << 8
        return k

    def needed_bytes(self) -> int:
        """The fewest bytes of the payload that settle the last symbol (and so all before it: intervals nest)."""
        code, at, low, high = self.last
        for missing in (3, 2, 1):
            tail = self.payload[at - missing : at].ljust(missing, b"\0")
            without = code - int.from_bytes(tail, "big")
            if low <= without and without + 256**missing - 1 < high:
                return at - missing
        return at

    def bits(self, count: int) -> int:
        number = 0
        for _ in range(count):
            number = 2 * number + self.symbol(BIT)
        return number


def table(tensors: dict[str, np.ndarray], name: str) -> list[tuple[int, list[int]]]:
    """Section 3: (lowest value, cumulative frequencies) of each row."""
    frequencies = iter(tensors[f"tables.{name}.frequencies"].tolist())
    rows = []
    for low, length in zip(tensors[f"tables.{name}.lows"].tolist(), tensors[f"tables.{name}.lengths"], strict=True):
        rows.append((low, [0, *accumulate(next(frequencies) for _ in range(length))]))
        assert rows[-1][1][-1] == 65536
    return rows


def value(coder: RangeDecoder, low: int, cumulative: list[int]) -> int:
    """Section 3: one integer under a row, escaped or not."""
    escape = len(cumulative) - 2
    s = coder.symbol(cumulative)
    if s == escape:
        L = 0
        while coder.symbol(BIT) == 0:
            L += 1
            if L > 24:
                raise Damage("an escape of more than 24 bits")
        f = (1 << L | coder.bits(L)) - 1
        s = -1 - f // 2 if f % 2 else escape + f // 2
    return low + s


def spread(height: int, width: int) -> list[int]:
    """Section 4: the rank of each place (in raster order) in spread order."""
    bits = max(1, (max(height, width) - 1).bit_length())

    def key(place: int) -> int:
        number, (row, column) = 0, divmod(place, width)
        for t in range(bits):
            row_t, column_t = row >> t & 1, column >> t & 1
            number = number << 2 | (row_t ^ column_t) << 1 | row_t
        return number

    ranks = [0] * (height * width)
    for rank, place in enumerate(sorted(range(height * width), key=key)):
        ranks[place] = rank
    return ranks


def coding_order(index: np.ndarray, rank: list[int]) -> np.ndarray:
    """Section 4: the elements of a block (flat places), in the order in which they are sent."""
    places, levels = len(rank), index.ravel().tolist()
    return np.array(sorted(range(len(levels)), key=lambda e: (-levels[e], e // places, rank[e % places])))


def payload(data: bytes, weights: Weights, decoded: Decoded) -> None:
    """Section 4: fill ``decoded`` with what of the payload is settled. Raises Missing where that ends."""
    assert decoded.size is not None
    rows, columns = z_map(decoded.size)
    header_bytes = decoded.ends_bytes[0]
    coder = RangeDecoder(data[header_bytes:])
    for low, cumulative in weights.z:
        for _ in range(rows * columns):
            decoded.z.append(value(coder, low, cumulative))
    check = crc(0, [*decoded.size], decoded.z)
    rank = spread(4 * rows, 4 * columns)
    y_hat, network = np.zeros((weights.config.M, 4 * rows, 4 * columns)), Parameters(weights, decoded.size, decoded.z)
    for j, (first, last) in enumerate(pairwise((0, *weights.config.blocks))):
        index, grid = integers(*network.block(j, y_hat))
        exceptions(coder, index.ravel(), grid.ravel())
        check = crc(check, index, grid)
        if coder.bits(8) != check & 255:
            raise Damage("this machine computes otherwise, or the bytes were changed")
        block = Block(index, grid, coding_order(index, rank))
        decoded.blocks.append(block)
        if j == 0:
            decoded.ends_bytes.append(header_bytes + coder.needed_bytes())
        levels = index.ravel().tolist()
        for element in block.order.tolist():
            block.q.append(value(coder, *weights.y[levels[element]]))
        check = crc(check, block.q)
        y_hat[first:last] = reconstructed(block)
        decoded.ends_bytes.append(header_bytes + coder.needed_bytes())


def exceptions(coder: RangeDecoder, index: np.ndarray, grid: np.ndarray) -> None:
    """Section 4: read what replaces the integers that the encoder's machine may have rounded otherwise."""
    if coder.symbol(EXCEPTIONS) == 1:
        count = coder.bits(24)
        if count > len(index):
            raise Damage("more exceptions than elements")
        for _ in range(count):
            place, new_index, new_grid = coder.bits(32), coder.bits(6), coder.bits(40) - GRID_LIMIT
            if place >= len(index):
                raise Damage("an exception outside of its block")
            index[place], grid[place] = new_index, new_grid


def crc(running: int, *numbers: np.ndarray | list[int]) -> int:
    """Section 4: the running check over int64 little-endian numbers."""
    for some in numbers:
        running = zlib.crc32(np.asarray(some, "<i8").tobytes(), running)
    return running


def reconstructed(block: Block) -> np.ndarray:
    """Section 4: q + grid / 256 where q is settled, grid / 256 in the rest of the block."""
    y_hat = block.grid.ravel() / 256
    y_hat[block.order[: len(block.q)]] += block.q
    return y_hat.reshape(block.grid.shape)


@torch.no_grad()
def picture(weights: Weights, decoded: Decoded) -> np.ndarray:
    """Section 4: (3, height, width) in [0, 1], what a prefix shows."""
    assert decoded.size is not None
    (height, width), (rows, columns) = decoded.size, z_map(decoded.size)
    y_hat = np.zeros((weights.config.M, 4 * rows, 4 * columns))
    for (first, last), block in zip(pairwise((0, *weights.config.blocks)), decoded.blocks, strict=False):
        y_hat[first:last] = reconstructed(block)
    if not decoded.blocks or len(decoded.blocks[0].q) < 8:
        y_hat[:] = 0
        _, grid = integers(*Parameters(weights, decoded.size, []).block(0, y_hat))
        y_hat[: weights.config.blocks[0]] = grid / 256
    x_hat = weights.network.synthesise(torch.from_numpy(y_hat)[None])[0]
    return x_hat.clamp(0, 1)[:, :height, :width].numpy()


class Parameters:
    """Section 5: (log_sigma, mu) of the blocks of one picture."""

    @torch.no_grad()
    def __init__(self, weights: Weights, size: tuple[int, int], z: list[int]):
        q_z = np.zeros((len(weights.z), *z_map(size)))
        q_z.ravel()[: len(z)] = z
        self.entropy = weights.network.entropy
        self.P = self.entropy.h_s(torch.from_numpy(q_z + weights.medians[:, None, None])[None])

    @torch.no_grad()
    def block(self, j: int, y_hat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """y_hat: (M, h, w), zero from block j (0-based) on -> log_sigma, mu of block j."""
        seen = torch.from_numpy(y_hat)[None]
        C = self.entropy.context(seen) if j else self.entropy.context(torch.zeros_like(seen[..., :1, :1]))
        features = torch.cat([self.P, C.expand_as(self.P)], 1)
        log_sigma, mu = self.entropy.parameters_net(features, j)
        return log_sigma[0].numpy(), mu[0].numpy()


def integers(log_sigma: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Section 6: index and grid."""
    position = np.nan_to_num((log_sigma - math.log(0.11)) / STEP, nan=0.0)
    index = np.clip(np.ceil(position), 0, 63).astype(np.int64)
    grid = np.rint(np.clip(256 * mu, -GRID_LIMIT, GRID_LIMIT)).astype(np.int64)
    return index, grid


def fingerprint(tensors: dict[str, np.ndarray]) -> bytes:
    """Section 7: the first three bytes of SHA-256 over names and tensors."""
    hashed = hashlib.sha256()
    meant = ("network.entropy.", "network.g_s.", "network.linear.inverse", "tables.")
    for name in sorted(tensors):
        if name.startswith(meant):
            array = tensors[name]
            hashed.update(name.encode() + np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return hashed.digest()[:3]


def trailer(data: bytes, payload_end: int, count: int) -> list[int] | None:
    """Section 8: the ``count`` lengths of the trailer that begins at ``payload_end``; None if it is not all there."""
    at, lengths = payload_end, []
    try:
        for _ in range(count):
            length, at = varint(data, at)
            lengths.append(length)
    except Missing:
        return None
    if len(data) < at + 2:
        return None
    if len(data) > at + 2:
        raise Damage("bytes follow the trailer")
    if sum(lengths) != payload_end or binascii.crc_hqx(data[:at], 0) != int.from_bytes(data[at:], "big"):
        raise Damage("the trailer does not belong to these bytes")
    return lengths


def decode(prefix: bytes, weights: Weights) -> Decoded:
    """All that a prefix settles. Raises Damage."""
    decoded = Decoded()
    if (found := header(prefix)) is None:
        return decoded
    height, width, header_bytes, model = found
    if model != weights.fingerprint:
        raise Damage(f"of the model {model.hex()}, not {weights.fingerprint.hex()}")
    decoded.size, decoded.ends_bytes = (height, width), [header_bytes]
    try:
        payload(prefix, weights, decoded)
    except Missing:
        return decoded
    decoded.lengths_bytes = trailer(prefix, decoded.ends_bytes[-1], len(decoded.ends_bytes) - 1)
    return decoded


def digest(*arrays: np.ndarray | list[int]) -> str:
    """As tests/vectors/make.py: SHA-256 over int64 little-endian numbers, 16 hexadecimal digits."""
    return hashlib.sha256(b"".join(np.asarray(array, "<i8").tobytes() for array in arrays)).hexdigest()[:16]


def facts(prefix: bytes, weights: Weights) -> dict:
    """What tests/vectors/make.py writes of a prefix."""
    decoded = decode(prefix, weights)
    return {
        "bytes": len(prefix),
        "symbols": [len(block.q) for block in decoded.blocks],
        "parameters": [digest(block.index, block.grid, block.order) for block in decoded.blocks],
        "values": [digest(block.q) for block in decoded.blocks],
        "complete": decoded.lengths_bytes is not None,
    }
