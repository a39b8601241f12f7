"""What the walk over blocks replaces: TIC's own context model, decoded place by place in raster order.

As in TIC's published code: for each place the causal context module runs on the 5x5 crop around it, the parameters of
M symbols follow, and CompressAI's rANS decodes them; then the next place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hierlib.codec.entropy import KERNEL, ContextAttention, EntropyParameters
from hierlib.codec.tables import Tables, gaussian_rows, scale_index, scale_position


class RasterCoder:
    """Context, parameters and tables of one latent; ``encode`` and ``decode`` are the same loop, as in CompressAI.

    whole_crop: run the context module on all 25 places of the crop, as TIC's code does, or only on the one needed.
    """

    def __init__(self, context: ContextAttention, parameters_net: EntropyParameters, whole_crop: bool):
        self.context, self.net, self.whole_crop = context, parameters_net, whole_crop
        tables = Tables(*gaussian_rows())
        parts = [tables.cumulative[tables.begins[r] : tables.begins[r + 1]].tolist() for r in range(64)]
        self.tables = parts, [len(part) for part in parts], tables.lows.tolist()
        self.causal = torch.zeros(KERNEL, KERNEL)
        self.causal.view(-1)[: KERNEL**2 // 2] = 1

    def _context(self, crop: Tensor) -> Tensor:
        """(1, M, 5, 5) -> (1, 2M, 1, 1): the 12 places before the middle one, in raster order."""
        module, M = self.context, crop.shape[1]
        if self.whole_crop:
            windows = F.unfold(crop, KERNEL, padding=KERNEL // 2).view(M, KERNEL**2, -1).permute(2, 1, 0)
        else:
            windows = crop.reshape(M, KERNEL**2).T[None]
        tokens = windows * self.causal.view(1, -1, 1)
        q, k, v = module.qkv(module.norm1(tokens)).unflatten(-1, (3, module.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + module.position.permute(2, 0, 1)
        mixed = module.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        total = (tokens + mixed).sum(1)
        total = module.out(total + module.mlp(module.norm2(total)))
        return total[len(total) // 2].view(1, -1, 1, 1)

    def _parameters(self, P: Tensor, y_hat: Tensor, row: int, column: int) -> tuple[list[int], Tensor]:
        """Scale indices and means of the M symbols of one place; y_hat is padded by two."""
        C = self._context(y_hat[:, :, row : row + KERNEL, column : column + KERNEL])
        features = torch.cat([P[:, :, row : row + 1, column : column + 1], C], 1)
        log_sigma, mu = self.net.head(self.net.shared(features)).flatten().chunk(2)
        return scale_index(scale_position(log_sigma.double().numpy())).tolist(), mu

    @torch.no_grad()
    def encode(self, y: Tensor, P: Tensor) -> tuple[bytes, Tensor]:
        """y (1, M, h, w) -> stream, and y_hat as ``decode`` will find it. LOG_SIGMA of the shipped tables' scale."""
        from compressai.ans import BufferedRansEncoder

        encoder, y_hat = BufferedRansEncoder(), F.pad(torch.zeros_like(y), (2, 2, 2, 2))
        for row in range(y.shape[2]):
            for column in range(y.shape[3]):
                rows, mu = self._parameters(P, y_hat, row, column)
                q = torch.round(y[0, :, row, column] - mu)
                encoder.encode_with_indexes(q.int().tolist(), rows, *self.tables)
                y_hat[0, :, row + 2, column + 2] = q + mu
        return encoder.flush(), y_hat[:, :, 2:-2, 2:-2]

    @torch.no_grad()
    def decode(self, stream: bytes, P: Tensor) -> Tensor:
        """The inverse of ``encode``."""
        from compressai.ans import RansDecoder

        decoder, (h, w) = RansDecoder(), P.shape[2:]
        decoder.set_stream(stream)
        y_hat = P.new_zeros(1, P.shape[1] // 2, h + 4, w + 4)
        for row in range(h):
            for column in range(w):
                rows, mu = self._parameters(P, y_hat, row, column)
                q = torch.tensor(decoder.decode_stream(rows, *self.tables))
                y_hat[0, :, row + 2, column + 2] = q + mu
        return y_hat[:, :, 2:-2, 2:-2]
