"""What a codec is built from. Nothing in the code knows that there are three levels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import CheckpointError


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of the networks, in the names of TIC and the paper.

    blocks: channel ends k of the levels, ascending, the last is M. N: widths of g_a's three stages (TIC: all N).
    depths, heads: of RSTB_1 .. RSTB_5. windows: at stages 1-3, and in the hyper transforms.
    entropy_hidden: the two hidden widths of H (TIC: 10/3 M, 8/3 M). delta_dim: width of the Delta-networks, 0 = none.
    """

    blocks: tuple[int, ...] = (128, 224, 320)
    N: tuple[int, int, int] = (192, 192, 192)
    N_hyper: int = 192
    depths: tuple[int, ...] = (2, 4, 6, 2, 2)
    heads: tuple[int, ...] = (4, 8, 16, 16, 16)
    windows: tuple[int, int] = (8, 4)
    mlp_ratio: float = 4.0
    context_heads: int = 16
    context_ratio: float = 4.0
    entropy_hidden: tuple[int, int] = (1066, 853)
    delta_dim: int = 192
    linear_path: bool = False

    @property
    def M(self) -> int:
        return self.blocks[-1]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> CodecConfig:
        """Raises CheckpointError for a field that this version does not know."""
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
            return cls(**values)
        except TypeError as error:
            raise CheckpointError(
                f"These weights describe a codec that this version does not know ({error}): update hierlib."
            ) from None


PAPER = CodecConfig()
PAPER_SHALLOW = CodecConfig(depths=(1, 2, 3, 1, 1))  # TIC's depths before 2024-07-29, 16.8 M with its own context
TINY = CodecConfig(
    blocks=(64, 112, 160),
    N=(32, 64, 96),
    N_hyper=32,
    depths=(0, 1, 2, 1, 0),
    heads=(2, 4, 6, 4, 4),
    windows=(8, 4),
    mlp_ratio=2.0,
    context_heads=8,
    context_ratio=1.0,
    entropy_hidden=(320, 256),
    delta_dim=48,
    linear_path=True,
)
MICRO = CodecConfig(
    blocks=(24, 40, 56),
    N=(12, 16, 24),
    N_hyper=16,
    depths=(0, 0, 1, 1, 0),
    heads=(2, 2, 2, 2, 2),
    windows=(4, 4),
    mlp_ratio=1.0,
    context_heads=4,
    context_ratio=1.0,
    entropy_hidden=(96, 80),
    delta_dim=16,
    linear_path=True,
)
