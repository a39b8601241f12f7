"""The codec as CompressAI's users know a model: a module with ``forward``, likelihoods, and ``from_pretrained``.

model = TrainableCodec.from_pretrained("folder or owner/name")
out = model(x)                          # a list: CompressAI's dict for every level
codec = model.codec()                   # streams; integer tables are made here, there is no update() to forget
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from ..errors import CheckpointError
from . import weights
from .config import PAPER, CodecConfig
from .likelihood import Likelihoods
from .model import HierCodec
from .network import HierNetwork, y_hat_of


class TrainableCodec(nn.Module, PyTorchModelHubMixin, library_name="hierlib", license="apache-2.0"):
    """Networks and likelihoods of a codec, in float32 throughout. What the trainer trains is the same two modules."""

    def __init__(self, config: CodecConfig = PAPER):
        super().__init__()
        self.network, self.likelihoods = HierNetwork(config), Likelihoods(config.N_hyper)
        self.about: dict[str, Any] = {}
        self.kept_half = False  # whether its weights were read in float16, and are to be written so

    @property
    def config(self) -> CodecConfig:
        return self.network.config

    def forward(self, x: Tensor, levels: int | None = None) -> list[dict[str, Any]]:
        """x (B, 3, H, W) in [0, 1], sides multiples of 64 -> for each of the first ``levels`` levels (all if None)

        ``x_hat``: (B, 3, H, W), the picture after the blocks up to k, later ones zero (Eq. 2's X_<k), not clamped;
        ``likelihoods``: ``y`` (B, k, H/16, W/16) of those blocks and ``z`` (B, N_hyper, H/64, W/64), as CompressAI's
        losses take them. In training mode of noisy values, in evaluation mode of rounded ones; x_hat is always of
        rounded ones (straight-through).
        """
        walked = self.likelihoods(self.network, x, levels)
        found, blocks = [], walked["blocks"]
        for count in range(1, len(blocks) + 1):
            y_hat = y_hat_of([block["y_hat"] for block in blocks[:count]], self.config.M)
            x_hat = self.network.synthesise(y_hat)
            likelihoods = {
                "y": torch.cat([block["likelihood"] for block in blocks[:count]], 1),
                "z": walked["likelihood_z"],
            }
            found.append({"x_hat": x_hat, "likelihoods": likelihoods})
        return found

    def aux_loss(self) -> Tensor:
        """CompressAI's auxiliary loss: of the quantiles of z's prior, for an optimiser of their own."""
        return self.likelihoods.bottleneck.loss()

    def codec(self, name: str = "codec") -> HierCodec:
        """The codec of the present weights, a copy: ``encode`` and ``decode`` with real bytes."""
        about = {"config": self.config.to_json()}
        return weights.assemble(weights.export(self.network, self.likelihoods, self.kept_half), about, name)

    @classmethod
    def from_file(cls, path: str | Path) -> TrainableCodec:
        """From a weights file, shipped weights by name, a folder, or a repository of the hub: see ``hierlib.load``.

        Raises CheckpointError if it cannot be read, or was saved without likelihoods.
        """
        tensors, about = weights.read(weights.locate(path))
        model = cls(CodecConfig.from_json(about["config"]))
        own = {k: v for k, v in tensors.items() if k.startswith("network.")}
        own |= {f"likelihoods.{k.removeprefix('likelihood.')}": v for k, v in tensors.items() if "likelihood." in k}
        # all but the buffers that CompressAI keeps empty until update()
        lost = {key for key, value in model.state_dict().items() if value.numel()} ^ own.keys()
        shapes = {key: value.shape for key, value in model.state_dict().items()}
        wrong = sorted(lost) or [key for key, value in own.items() if value.shape != shapes[key]]
        if wrong:
            raise CheckpointError(
                f"{path} does not fit the codec it describes: {wrong[0]} is missing or of other size."
            )
        model.load_state_dict(own, strict=False)
        model.about = about
        model.kept_half = all(v.dtype == torch.float16 for k, v in own.items() if k.startswith("network."))
        return model.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        about = {k: v for k, v in self.about.items() if k != "config"}
        weights.save(save_directory / weights.HUB_FILE, self.network, self.likelihoods, about, self.kept_half)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, map_location: str = "cpu", **_: Any) -> TrainableCodec:
        return cls.from_file(model_id).to(map_location)
