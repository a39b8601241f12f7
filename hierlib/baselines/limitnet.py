"""LimitNet: progressive, content-aware image offloading for extremely weak devices and networks (Hojjat, Haberer,
Zainab, Landsiedel; MobiSys 2024, 2504.13736).

    y = g_a(x)                 three thin convolutions, 12 channels at an eighth of the picture; the decoder is large
    quantiser                  64 values a channel (6 bits), each channel under a static table
    saliency                   a head on y says in 8 x 8 cells and 32 levels how much a place matters: sent first
    score(c, place)            saliency + (C - c) / 5: early channels first, salient places up to five channels ahead
    gradual dropping           in training each picture keeps the p best scored symbols, p random; the rest is zero
    at any cut                 what has not arrived is zero

The published code has no file, does not count the saliency, and measures tables and ranges on test pictures. Here the
stream is z (the saliency, the differences of neighbours under one row), a check, and the symbols in the order of the
score; the decoder rebuilds it from z in whole numbers. Tables, ranges and all else belong to the weights.

Other differences from the published codec:
* The saliency's teacher is BASNet there, a network trained on people's outlines of salient objects, which is not here.
  Here it is frequency-tuned saliency (Achanta et al., CVPR 2009): how far a place's colour, a little blurred, is from
  the picture's mean colour. It too is about the picture and about no classifier, and is the same in both regimes; a
  worse teacher is to be expected. The head learns from the teacher alone and reads y without moving it. (Tried and
  given up: a head that learns what lowers the loss of the distortion regime, its own bits included. After 450 updates
  on drawn shapes it says the same everywhere.)
* Saliency is in [0, 1] as the sigmoid gives it, not stretched between each picture's least and largest value: the
  order needs no fractions, and two numbers less are sent.
* Ranges start at the least and largest y of training pictures and are trained; so are the tables (CompressAI's
  factorised prior, one a channel, in place of Huffman's codes): the loss has a rate, which the published one has not.
* A linear path beside encoder and decoder, as all codecs here start with.
* Phases: tail drop by channel (the head is not trained, all places are alike), then the saliency, then the third, in
  which the task regime asks the classifier. There that is cross-entropy alone and the classifier is trained along;
  here it is everybody's task loss and the classifier is frozen.

The paper that we implement leaves it out of its rate comparison, since it is made for weak senders: figures show it
apart. The weights come from the recipes limitnet64-start, -rd and limitnet64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..codec.coders import CHECK_BITS, Block, Check, DecodingCoder, EncodingCoder
from ..codec.likelihood import round_through
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..codec.order import coding_order, spread
from ..codec.rangecoder import Decoder, Encoder
from ..codec.tables import TAIL, quantised
from ..codec.transforms import STRIDE_Z
from ..errors import BitstreamError
from .lessons import Lessons, Shown
from .saliency import CELLS, LEVELS, MIDDLE, SALIENCY, STRIDE, LimitNetNetwork, ScoredPath

# -- the order


class ScoredBlock(Block):
    """All symbols of a picture by their keys, (M, h, w) whole numbers; each under the row of its channel."""

    def __init__(self, key: np.ndarray, path: ScoredPath):
        channels = np.broadcast_to(np.arange(len(key))[:, None, None], key.shape).copy()
        super().__init__(channels, np.zeros_like(channels), coding_order(key))
        self._path = path

    def receive(self, q: np.ndarray, needed_bytes: np.ndarray) -> None:
        if len(q) and not 0 <= q.min() <= q.max() < LEVELS:
            raise BitstreamError(f"A symbol is not in 0 .. {LEVELS - 1}: the stream is damaged.")
        super().receive(q, needed_bytes)

    def values(self, count: int | None = None) -> np.ndarray:
        """y_hat, zero where nothing is received (of the first ``count`` symbols)."""
        q, y_hat = self.q[:count], np.zeros(self.index.size)
        full = np.full(self.index.size, MIDDLE)
        full[self.order[: len(q)]] = q
        with torch.no_grad():
            known = self._path.values(torch.from_numpy(full.reshape(self.index.shape)).to(self._path.centre))
        y_hat[self.order[: len(q)]] = known.cpu().numpy().ravel()[self.order[: len(q)]]
        return y_hat.reshape(self.index.shape)


def ranks(key: Tensor) -> Tensor:
    """(B, M, h, w) keys -> of each symbol its place in the coding order: 0, 1, ..."""
    M, height, width = key.shape[1:]
    ties = np.arange(M)[:, None] * (height * width) + spread(height, width)
    order = torch.from_numpy(ties.ravel()).to(key.device)
    by_key = key.detach().flatten(1)[:, order].argsort(dim=1, descending=True, stable=True)
    places = order[by_key]
    return torch.zeros_like(places).scatter(1, places, torch.arange(M * height * width).to(places).expand_as(places))


# -- the side information


def differences(levels: Any) -> Any:
    """(..., 8, 8) levels -> each less its left neighbour; the first of a row less the one above, the first of all 16.

    Of arrays and tensors alike.
    """
    found = levels + 0
    found[..., :, 1:] -= levels[..., :, :-1]
    found[..., 1:, 0] -= levels[..., :-1, 0]
    found[..., 0, 0] -= SALIENCY // 2
    return found


def levels_of(differences: np.ndarray) -> np.ndarray:
    """The inverse of ``differences``, of one picture."""
    found = differences.reshape(CELLS, CELLS).copy()
    found[0, 0] += SALIENCY // 2
    found[:, 0] = found[:, 0].cumsum()
    return found.cumsum(1)


# -- training


class DroppingCoder:
    """Keeps the first symbols of each picture, as many as ``kept`` (B,) says. bits: (B,) of those, after the walk."""

    def __init__(self, lessons: GradualDropping, path: ScoredPath, y: Tensor, kept: Tensor):
        self.lessons, self.path, self.y, self.kept = lessons, path, y, kept
        self.places = y.shape[2:]
        self.bits = torch.zeros(len(y))

    def code_block(self, block: int, key: Tensor, mu: Tensor) -> Tensor:
        position = self.path.position(self.y)
        mask = (ranks(key) < self.kept[:, None]).view_as(key)
        self.bits = (self.lessons.bits_of(position - MIDDLE, 0) * mask).sum((1, 2, 3))
        return self.path.values(round_through(position)) * mask


def salient(x: Tensor) -> Tensor:
    """The teacher: pictures (B, 3, H, W) -> (B, 1, 8, 8) in [0, 1], 1 in the most salient cell of each."""
    blurred = F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
    away = (blurred - x.mean((2, 3), keepdim=True)).norm(dim=1, keepdim=True)
    cells = F.adaptive_avg_pool2d(away, CELLS)
    return cells / cells.amax((2, 3), keepdim=True).clamp(min=1e-6)


class GradualDropping(Lessons):
    """Each picture keeps a random share of its symbols. The priors: one for each channel of y, the last of saliency."""

    stages = 3

    def shown(self, network: HierNetwork, x: Tensor, stage: int) -> list[Shown]:
        y = network.analyse(x)
        saliency = network.h_a(y.detach())
        levels = torch.round(saliency.detach())
        bits_z = self.bits_of(differences(levels), -1).sum((1, 2, 3))
        taught = F.binary_cross_entropy(saliency / (SALIENCY - 1), salient(x))
        kept = (torch.rand(len(x), device=x.device) * y[0].numel()).long() + 1
        coder = DroppingCoder(self, cast(ScoredPath, network.entropy), y, kept)
        x_hat = network.synthesise(network.entropy.walk(levels, coder))
        return [Shown(x_hat, coder.bits + bits_z, beside=taught)]

    def taught(self, network: HierNetwork, stage: int) -> Iterable[nn.Parameter]:
        head = {*network.h_a.parameters()} if stage == 0 else set()
        return {*network.parameters()} - head

    def bits_of(self, values: Tensor, first: int) -> Tensor:
        """Bits of values (B, C, h, w) under the priors from ``first`` on; in training of noisy ones, else rounded."""
        noise = torch.rand_like(values) - 0.5
        likelihood = self.mass(values + noise if self.training else torch.round(values), first)
        return -torch.log2(self.bottleneck.likelihood_lower_bound(likelihood))

    def mass(self, values: Tensor, first: int) -> Tensor:
        """Probability of the unit bin about each value, (B, C, h, w), under the priors from ``first`` on."""
        batch, C, height, width = values.shape
        first %= self.bottleneck.channels
        flat = values.new_zeros(self.bottleneck.channels, 1, batch * height * width)
        flat[first : first + C] = values.transpose(0, 1).reshape(C, 1, -1)
        likelihood = self.bottleneck._likelihood(flat)[0][first : first + C]
        return likelihood.view(C, batch, height, width).transpose(0, 1)

    @torch.no_grad()
    def _rows(self, values: np.ndarray, count: int, first: int) -> list[np.ndarray]:
        """Integer frequencies of ``values``, and of the escape, which no encoder sends."""
        grid = torch.from_numpy(values).float().expand(1, count, 1, -1)
        mass = self.mass(grid, first)[0, :, 0].double().cpu().numpy()
        return [quantised(np.append(channel, TAIL * channel.sum())) for channel in mass]

    def symbol_rows(self) -> tuple[list[np.ndarray], np.ndarray]:
        """A row for each channel of y, over 0 .. 63."""
        channels = self.bottleneck.channels - 1
        return self._rows(np.arange(LEVELS) - MIDDLE, channels, 0), np.zeros(channels, dtype=np.int64)

    def prior_rows(self) -> tuple[list[np.ndarray], np.ndarray, Tensor]:
        """The row of the saliency's differences; its centre is 0."""
        most = SALIENCY - 1
        return self._rows(np.arange(-most, most + 1), 1, -1), np.array([-most]), torch.zeros(1)


# -- the codec


class ScoredEncoder(EncodingCoder):
    """Pushes a check, and the symbols by score."""

    codec: LimitNet

    @property
    def places(self) -> tuple[int, int]:
        return self.y.shape[2], self.y.shape[3]

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        path = self.codec.network.entropy
        self.encoder.put_bits(self.check.add(), CHECK_BITS)
        position = path.position(self.y.double().to(path.centre.device))[0].cpu().numpy()
        q = np.rint(np.nan_to_num(position, nan=MIDDLE)).astype(np.int64).ravel()
        self.parameters.append((log_sigma, mu))
        return self._push(self.codec.scored(log_sigma), q).to(mu)


class ScoredDecoder(DecodingCoder):
    """Pops them."""

    codec: LimitNet
    places: tuple[int, int]

    def _new(self, log_sigma: Tensor, mu: Tensor) -> ScoredBlock:
        return self.codec.scored(log_sigma)

    def _begin(self, block: int) -> None:
        mark = self.decoder.mark()
        sent = self.decoder.take_bits(CHECK_BITS)
        if sent is None:
            self.decoder.rewind(mark)
            return
        if sent != self.check.add():
            raise BitstreamError("The check behind the saliency does not match: the stream is damaged.")
        self.blocks[block].begun_bytes = self.decoder.needed_bytes


class LimitNet(HierCodec):
    """One level: all channels. z is the saliency of 8 x 8 cells."""

    method = "limitnet"
    opening_symbols = 1  # what has not arrived is 0, whatever z says: nothing to wait for
    networks, lessons = LimitNetNetwork, GradualDropping
    network: LimitNetNetwork

    def scored(self, key: Tensor) -> ScoredBlock:
        """(1, M, h, w) keys -> a block of which nothing is received."""
        return ScoredBlock(key[0].cpu().numpy().astype(np.int64), self.network.entropy)

    def encoding_coder(self, y: Tensor, z: Tensor, encoder: Encoder, check: Check) -> ScoredEncoder:
        coder = ScoredEncoder(y, self.slices, self.y_tables, encoder, check)
        coder.codec = self
        return coder

    def decoding_coder(self, decoder: Decoder, check: Check, places: tuple[int, int]) -> ScoredDecoder:
        coder = ScoredDecoder(self.y_tables, decoder, check)
        coder.codec, coder.places = self, (places[0] * STRIDE_Z // STRIDE, places[1] * STRIDE_Z // STRIDE)
        return coder

    def hyper_values(self, z: Tensor) -> np.ndarray:
        """Saliency (1, 1, 8, 8) in [0, 31] -> 64 differences of its levels."""
        levels = np.rint(np.nan_to_num(z[0, 0].double().cpu().numpy())).astype(np.int64)
        return differences(levels.clip(0, SALIENCY - 1)).ravel()

    def hyper_rows(self, height: int, width: int) -> np.ndarray:
        """One row for all 64, whatever the picture's size."""
        return np.zeros(CELLS**2, dtype=np.int64)

    def z_hat(self, values: np.ndarray, height: int, width: int) -> Tensor:
        """64 differences -> the levels (1, 1, 8, 8). Raises BitstreamError for levels that no encoder has."""
        levels = levels_of(values)
        if levels.min() < 0 or levels.max() >= SALIENCY:
            raise BitstreamError(f"A saliency is not in 0 .. {SALIENCY - 1}: the stream is damaged.")
        return torch.from_numpy(levels).double()[None, None].to(self.device)
