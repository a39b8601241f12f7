"""What is trained, on what, for how long. A recipe is a frozen dataclass; papermill parameters are its fields."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..codec.config import MICRO, PAPER, TINY, CodecConfig
from ..errors import RecipeError


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of a codec. Measured times and results are in data/checkpoints.

    lam: weight of the squared error on the 255 scale, per level (Eq. 2). gamma: price of one nat of cross-entropy in
    bits per pixel, per level: at 64x64 a gamma of 0.1 pays 410 bits for a nat. level_weight: weight of each level's
    whole term; the gradients of the coarse levels are small, and a little Adam step must not drown them.
    task_from: share of the run after which the cross-entropy joins (first learn pictures, then what they show).
    cut_share: share of each batch that is decoded from a cut inside the last block, as in use.
    large: pictures for every ``large_every``-th step, cropped to ``large_size`` at a random scale, without the task:
    at 64x64 z is a single place, and taps that reach its neighbours would stay as they were initialised.
    """

    name: str
    codec: CodecConfig
    pictures: str  # pack or ImageFolder under HIERLIB_DATA, or shapes:N
    hierarchy: str  # table in data/hierarchies
    classifier: str  # frozen, in the loop
    steps: int
    size: int = 64  # pictures are resized to size x size
    batch_size: int = 16
    learning_rate: float = 1e-3
    auxiliary_rate: float = 1e-3
    lam: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    gamma: tuple[float, ...] = (0.5, 1.0, 2.0)
    level_weight: tuple[float, ...] = (1.0, 1.0, 1.0)
    one_level_a_step: bool = True
    task_from: float = 0.0
    label_smoothing: float = 0.1
    cut_share: float = 0.5
    clip: float = 5.0
    ema: float = 0.999
    large: str = ""
    large_every: int = 4
    large_size: int = 128
    start_step: float = 64.0  # grey levels that one unit of y stands for before training (linear path)
    seed: int = 0

    def __post_init__(self) -> None:
        levels = len(self.codec.blocks)
        for field in ("lam", "gamma", "level_weight"):
            if len(getattr(self, field)) != levels:
                raise RecipeError(
                    f"{self.name}: {field} has {len(getattr(self, field))} values, the codec {levels} levels."
                )
        if self.size % 64 or self.large_size % 64:
            sizes = f"{self.size} and {self.large_size}"
            raise RecipeError(f"{self.name}: sizes are {sizes}; training pictures have sides that are multiples of 64.")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON: what a checkpoint remembers of its recipe."""
        import json

        return json.loads(json.dumps(asdict(self)))


RECIPES = {
    # a minute or two on two cores: what 02_train runs
    "ci": Recipe("ci", MICRO, "shapes:1500", "shapes", "shapes", steps=450, learning_rate=2e-3,
                 gamma=(0.05, 0.05, 0.05), level_weight=(10.0, 3.0, 1.0), task_from=0.4, start_step=48.0, ema=0.98),
    # the shipped weights, in two runs on two cores: first pictures alone, then (starting from those) what they show
    "tiny64-rd": Recipe("tiny64-rd", TINY, "tiny-imagenet-train", "tiny-clip", "", steps=4500, gamma=(0.0, 0.0, 0.0),
                        level_weight=(10.0, 3.0, 1.0)),
    "tiny64": Recipe("tiny64", TINY, "tiny-imagenet-train", "tiny-clip", "tiny", steps=10000, learning_rate=8e-4,
                     gamma=(0.15, 0.2, 0.3), level_weight=(10.0, 3.0, 1.0), large="imagenette-woof-224-train"),
    # the paper's: 80,000 pictures for 100 epochs at batch 8, full width, all levels each step, ResNet-50; needs a GPU
    "paper": Recipe("paper", PAPER, "imagenet-train-80k", "imagenet-clip", "torchvision/resnet50", steps=1_000_000,
                    size=256, batch_size=8, learning_rate=1e-4, one_level_a_step=False, cut_share=0.0, clip=1.0),
}  # fmt: skip


def recipe(name: str) -> Recipe:
    """A recipe by name. Raises RecipeError for an unknown one."""
    if name not in RECIPES:
        raise RecipeError(f"There is no recipe {name}: known are {', '.join(RECIPES)}.")
    return RECIPES[name]
