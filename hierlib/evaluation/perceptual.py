"""LPIPS (Zhang et al., CVPR 2018), where somebody asks for it: how different two pictures look to a network.

It needs the package ``lpips`` (``pip install 'hierlib[lpips]'``) and torchvision's AlexNet weights, which torchvision
downloads once. Nothing else here needs either, so that it is asked for and never on by itself.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING
from urllib.error import URLError

from ..errors import DataError
from .rate import rounded

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 32  # pixels a side that AlexNet's strides leave anything of


class Lpips:
    """(B, 3, H, W) twice, in [0, 1] -> (B,) LPIPS after rounding to 8 bits; 0 for equal pictures, larger is worse.

    network: "alex", whose numbers papers report, "vgg" or "squeeze". random: its backbone with random weights, which
    measures nothing, for tests without the download. Pictures with a side below 32 pixels give NaN. Raises DataError if
    the package is not installed or the weights can be neither found nor downloaded.
    """

    def __init__(self, network: str = "alex", random: bool = False):
        self.name = f"lpips-{network}" + ("-random" if random else "")
        try:
            from lpips import LPIPS
        except ImportError:
            raise DataError("LPIPS needs the package lpips: pip install 'hierlib[lpips]', or leave it out.") from None
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*(pretrained|weight enum).*")  # torchvision's, of lpips
                network_ = LPIPS(net=network, pnet_rand=random, verbose=False)
        except (URLError, OSError) as error:
            first = str(error).strip().partition("\n")[0]
            raise DataError(
                f"torchvision's {network} weights for LPIPS are not in the cache and could not be downloaded "
                f"({first}): copy them to ~/.cache/torch/hub/checkpoints, or leave LPIPS out."
            ) from None
        self._network = network_.eval().requires_grad_(False)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        import torch

        if min(a.shape[-2:]) < SMALLEST:
            return torch.full((len(a),), float("nan"))
        with torch.inference_mode():
            return self._network(rounded(a) * 2 - 1, rounded(b) * 2 - 1).view(-1).double()
