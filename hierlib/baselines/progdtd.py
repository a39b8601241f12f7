"""ProgDTD: progressive learned image compression with double-tail-drop training (Hojjat, Haberer, Landsiedel; CVPRW
2023, 2305.02145).

    double tail drop   each picture of a batch draws p from [0, 1) and keeps the first int(p M) + 1 channels of y and
                       as large a share of those of z; the rest is zero and costs nothing: the first come to matter
    order              channel by channel
    at any cut         what has not arrived is zero

As published the scales of the first channels are h_s of whichever channels of z were kept: a stream made for p = 1 and
cut is not the stream that was made for p = 0.3. Here z and y come in turns, so that one stream serves all cuts:

    for group g of channels:    z group g ;  P = h_s(z of groups <= g, the others at their medians)
                                (log_sigma, mu) = H(P) of y's group g ;  y group g, channel by channel

The groups are the blocks of the configuration; z is cut in the same proportions. Other differences: TIC's transforms,
and a mean beside the scale (the published codec is Balle's scale hyperprior with GDN); the prior's quantiles are
trained (the published code forgets them). The weights come from the recipes progdtd64-start, -rd and progdtd64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..codec.coders import MU_GRID, Block, Check, DecodingCoder, EncodingCoder, quantised_values
from ..codec.config import CodecConfig
from ..codec.entropy import BlockCoder, EntropyPath
from ..codec.likelihood import LikelihoodCoder
from ..codec.model import HierCodec
from ..codec.network import HierNetwork
from ..codec.order import spread
from ..codec.rangecoder import Decoder, Encoder
from ..codec.tables import Tables
from ..codec.transforms import block_slices
from ..errors import BitstreamError
from .lessons import Lessons, Shown


def hyper_slices(config: CodecConfig) -> list[tuple[int, int]]:
    """The channels of z of each group: in the proportions of y's, rounded up.

    >>> hyper_slices(CodecConfig(blocks=(40, 80, 120, 160), N_hyper=30))
    [(0, 8), (8, 15), (15, 23), (23, 30)]
    """
    return block_slices(tuple(-(-config.N_hyper * end // config.M) for end in config.blocks))


class GroupCoder(BlockCoder, Protocol):
    """What the walk over groups is walked with."""

    def code_hyper(self, group: int) -> Tensor | None:
        """z_hat of a group after the first, (B, its channels, h/4, w/4); None while bytes are missing."""
        ...


class InterleavedPath(EntropyPath):
    """h_s and H once a group, of as much of z as has come; no context."""

    hyper: list[tuple[int, int]]

    def steps(self, z_hat: Tensor, coder: BlockCoder, levels: int | None = None) -> Iterator[Tensor]:
        """As ``EntropyPath.steps``. z_hat: (B, N_hyper, h/4, w/4), of which only the first group is known."""
        groups: GroupCoder = coder  # type: ignore[assignment]  # it is handed in by the classes below
        places = [4 * side for side in z_hat.shape[2:]]
        y_hat = z_hat.new_zeros(len(z_hat), self.parameters_net.M, *places)
        for group, (low, high) in enumerate(self.parameters_net.slices[:levels]):
            if group:
                while (known := groups.code_hyper(group)) is None:
                    yield y_hat
                first, last = self.hyper[group]
                z_hat = torch.cat([z_hat[:, :first], known, z_hat[:, last:]], 1)
            log_sigma, mu = self._log_sigma_and_mu(self.h_s(z_hat), y_hat, group)
            while (part := groups.code_block(group, log_sigma, mu)) is None:
                yield y_hat
            y_hat = torch.cat([y_hat[:, :low], part, y_hat[:, high:]], 1)
            yield y_hat

    def _strip(self, P: Tensor, y_hat: Tensor, block: int, top: int, bottom: int) -> tuple[Tensor, Tensor]:
        known = P[:, :, top:bottom]
        C = self.context(torch.zeros_like(y_hat[:1, :, :1, :1])).expand(len(P), -1, *known.shape[2:])  # a constant
        return self.parameters_net(torch.cat([known, C], 1), block)


class ProgDTDNetwork(HierNetwork):
    """The backbone, with z and y in turns. The linear path starts with the strongest components first."""

    def __init__(self, config: CodecConfig):
        super().__init__(config)
        own = self.entropy
        self.entropy = InterleavedPath(own.h_s, own.context, own.parameters_net)
        self.entropy.hyper = hyper_slices(config)

    def start_from(self, pictures: Tensor, step: float = 64.0) -> None:
        super().start_from(pictures, step)
        if self.linear is not None:
            self.linear.start_from_pca(pictures, (self.config.M,), step)


@dataclass
class ChannelBlock(Block):
    """A group of channels, one after the other; what has not come is zero, not mu."""

    @classmethod
    def of(cls, index: np.ndarray, mu: np.ndarray) -> ChannelBlock:
        channels, height, width = index.shape
        order = np.arange(channels)[:, None] * (height * width) + spread(height, width)
        return cls(index, mu, order.ravel())

    def values(self, count: int | None = None) -> np.ndarray:
        q = self.q[:count]
        y_hat = np.zeros(self.mu.size)
        at = self.order[: len(q)]
        y_hat[at] = self.mu.ravel()[at] / MU_GRID + q
        return y_hat.reshape(self.mu.shape)


class TailDropCoder(LikelihoodCoder):
    """Likelihoods of all groups. z_hat: (B, N_hyper, h/4, w/4), all of it."""

    def __init__(self, gaussian: nn.Module, y: Tensor, z_hat: Tensor, config: CodecConfig):
        super().__init__(gaussian, y, block_slices(config.blocks))
        self.z_hat, self.hyper = z_hat, hyper_slices(config)

    def code_hyper(self, group: int) -> Tensor:
        low, high = self.hyper[group]
        return self.z_hat[:, low:high]


class DoubleTailDrop(Lessons):
    """Each picture keeps a random number of channels; z is kept in whole groups, as it is sent."""

    def shown(self, network: HierNetwork, x: Tensor, stage: int) -> list[Shown]:
        config = network.config
        y = network.analyse(x)
        z_hat, bits_z = self.hyper(network.h_a(y))
        coder = TailDropCoder(self.gaussian, y, z_hat, config)
        medians = self.bottleneck.quantiles[:, 0, 1].detach()[None, :, None, None]
        first = hyper_slices(config)[0][1]
        begun = torch.cat([z_hat[:, :first], medians.expand_as(z_hat)[:, first:]], 1)
        y_hat = network.entropy.walk(begun, coder)
        bits_y = torch.cat([block["bits"] for block in coder.blocks], 1)
        channels = (torch.rand(len(x), 1, device=x.device) * config.M).long() + 1
        kept_y, kept_z = kept(config, channels)
        bits = (bits_y.sum((2, 3)) * kept_y).sum(1) + (bits_z.sum((2, 3)) * kept_z).sum(1)
        return [Shown(network.synthesise(y_hat * kept_y[:, :, None, None]), bits)]


def kept(config: CodecConfig, channels: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1) numbers of channels, 1 to M -> which channels of y (B, M) and of z (B, N_hyper) a picture keeps."""
    kept_y = torch.arange(config.M, device=channels.device) < channels
    groups = torch.bucketize(
        channels, torch.tensor(config.blocks, device=channels.device)
    )  # the last one that is begun
    ends = torch.tensor([end for _, end in hyper_slices(config)], device=channels.device)
    return kept_y, torch.arange(config.N_hyper, device=channels.device) < ends[groups]


class GroupEncoder(EncodingCoder):
    """Pushes z's groups too. q_z: integers of the groups after the first, by group."""

    def __init__(self, codec: ProgDTD, y: Tensor, z: Tensor, encoder: Encoder, check: Check):
        super().__init__(y, codec.slices, codec.y_tables, encoder, check, codec.record)
        self._codec, self._z = codec, z

    def code_hyper(self, group: int) -> Tensor:
        rows, q = self._rows(group), self._codec.group_values(self._z, group)
        self.encoder.put_values(q, rows, self._codec.z_tables)
        self.check.add(q)
        return self._codec.group_z_hat(q, group, *self._z.shape[2:])

    def _rows(self, group: int) -> np.ndarray:
        return self._codec.group_rows(group, *self._z.shape[2:])

    @property
    def ideal_bits(self) -> float:
        sent = [(self._codec.group_values(self._z, g), self._rows(g)) for g in range(1, len(self.blocks))]
        return super().ideal_bits + sum(self._codec.z_tables.ideal_bits(*each) for each in sent)


class GroupDecoder(DecodingCoder):
    """Pops z's groups too, each before the block of y that it belongs to. places: of z, height and width."""

    def __init__(self, codec: ProgDTD, decoder: Decoder, check: Check, places: tuple[int, int]):
        super().__init__(codec.y_tables, decoder, check, codec.record)
        self._codec, self._places = codec, places
        self._q = [np.zeros(0, dtype=np.int64) for _ in codec.hyper]  # received of each group
        self._heard, self._asked = 0, 0  # the last group of z that is complete, and that the walk asked for

    @property
    def waiting(self) -> bool:
        return self._asked > self._heard or super().waiting

    def code_hyper(self, group: int) -> Tensor | None:
        rows, self._asked = self._codec.group_rows(group, *self._places), group
        if group > self._heard:
            more, _ = self.decoder.take_values(rows[len(self._q[group]) :], self._codec.z_tables)
            self._q[group] = np.append(self._q[group], more)
            if self.decoder.damaged:
                raise BitstreamError(
                    f"The bytes of z before block {group + 1} are none that an encoder writes: the stream is damaged."
                )
            if len(self._q[group]) < len(rows):
                return None
            self._heard = group
            self.check.add(self._q[group])
        return self._codec.group_z_hat(self._q[group], group, *self._places)

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor | None:
        if block and self.code_hyper(block) is None:  # of a walk it is complete; who only proof-reads has not asked
            return None
        return super().code_block(block, log_sigma, mu)


class ProgDTD(HierCodec):
    """Groups of z and y in turns, channel by channel."""

    method = "progdtd"
    networks, lessons = ProgDTDNetwork, DoubleTailDrop

    def __init__(self, network: HierNetwork, y_tables: Tables, z_tables: Tables, medians: Tensor, *named: Any):
        super().__init__(network, y_tables, z_tables, medians, *named)
        self.hyper = hyper_slices(network.config)

    def record(self, index: np.ndarray, mu: np.ndarray) -> ChannelBlock:
        return ChannelBlock.of(index, mu)

    def encoding_coder(self, y: Tensor, z: Tensor, encoder: Encoder, check: Check) -> GroupEncoder:
        return GroupEncoder(self, y, z, encoder, check)

    def decoding_coder(self, decoder: Decoder, check: Check, places: tuple[int, int]) -> GroupDecoder:
        return GroupDecoder(self, decoder, check, places)

    # -- the first group of z, which comes before all blocks

    def hyper_values(self, z: Tensor) -> np.ndarray:
        return self.group_values(z, 0)

    def hyper_rows(self, height: int, width: int) -> np.ndarray:
        return self.group_rows(0, height, width)

    def z_hat(self, values: np.ndarray, height: int, width: int) -> Tensor:
        """The first group as sent, the others at their medians."""
        z = np.zeros((len(self.medians), height * width), dtype=np.int64)
        z[: self.hyper[0][1]] = values.reshape(-1, height * width)
        return super().z_hat(z.ravel(), height, width)

    # -- any group

    def group_values(self, z: Tensor, group: int) -> np.ndarray:
        """z (1, N_hyper, h, w) -> the group's integers about the medians, channel by channel."""
        low, high = self.hyper[group]
        centred = z[0, low:high].detach().double().cpu() - self.medians[low:high, None, None]
        return quantised_values(centred.numpy()).ravel()

    def group_rows(self, group: int, height: int, width: int) -> np.ndarray:
        """The table row of each of them: its channel."""
        return np.repeat(np.arange(*self.hyper[group]), height * width)

    def group_z_hat(self, values: np.ndarray, group: int, height: int, width: int) -> Tensor:
        """Integers of the group -> (1, its channels, height, width) float64."""
        low, high = self.hyper[group]
        z = torch.from_numpy(values.reshape(high - low, height, width)).double()
        return (z + self.medians[low:high, None, None])[None].to(self.device)
