"""What is trained, on what, for how long. A recipe is a frozen dataclass; papermill parameters are its fields."""

from __future__ import annotations

import ast
import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from ..codec.config import CodecConfig
from ..errors import CheckpointError, RecipeError

CHOICES = {
    "count": ("prefix", "block"),
    "rate": ("noisy", "rounded"),
    "target": ("labels", "clean"),
    "classes": ("pictures", "all"),
    "order": ("sigma", "channel", "raster"),
}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of a codec. Measured times and results are in data/checkpoints.

    pictures, listing: see ``data.training_set``. batch_size: pictures an update, computed in ``parts`` equal parts
    (gradient accumulation; processes of torchrun share them out), each with a randomness of its own.
    lam: weight of the squared error on the 255 scale, per level (Eq. 2). gamma: price of one nat of cross-entropy in
    bits per pixel, per level: at 64x64 a gamma of 0.1 pays 410 bits for a nat. level_weight: weight of each level's
    whole term; the gradients of the coarse levels are small, and a little Adam step must not drown them. With one level
    a step a ``clip`` below all gradients makes the levels equal, whatever their weights (``gradient_1`` of the log).
    count: what BPP_k of Eq. 2 counts: "prefix" (z and blocks 1 .. k, so that over three levels z and block 1 are paid
    three times) or "block" (each once). rate: of "noisy" values, as CompressAI, or of "rounded" ones, as sent.
    task_from: share of the run after which the cross-entropy joins (first learn pictures, then what they show).
    classes: what the classifier is asked to tell apart, the classes of the "pictures" or "all" of the hierarchy's: a
    set of few classes then trains a codec for many.
    target: the "labels", or what the classifier says of the "clean" picture (distillation).
    second: another classifier that is asked in place of the first every ``second_every``-th time. jitter: how far the
    decoded picture is moved and scaled before it is asked, as a share of the picture.
    features: a classifier whose feature maps the decoded picture should keep (``features.Features``), and
    feature_weight: the price in bits per pixel, per level, of losing all of them.
    cut_share: share of each batch that is decoded from a cut inside the last block, as in use. order: in which its
    symbols arrive there, "sigma" as in the stream, "channel" or "raster"; context: False holds C at zero (ablations).
    y_step: least and largest quantisation step of y, drawn log-uniformly each update, for nested quantisers (PLONQ);
    lambda / step^2 then weighs the error: a uniform quantiser's is step^2 / 12, and so is its slope over the bits.
    large: pictures for every ``large_every``-th step, cropped to ``large_size`` at a random scale, without the task:
    at 64x64 z is a single place, and taps that reach its neighbours would stay as they were initialised.
    bf16, compiled: arithmetic of g_a, g_s and classifiers, on CUDA only; recorded: each kind of update is recorded
    once there and replayed (``recorder``); fast_layout: channels_last.
    """

    name: str
    codec: CodecConfig
    pictures: str  # pack, ImageFolder or shards under HIERLIB_DATA, or shapes:N
    hierarchy: str  # table in data/hierarchies
    classifier: str  # frozen, in the loop
    steps: int
    size: int = 64  # side of the square that is cut from a picture
    batch_size: int = 16
    parts: int = 1
    learning_rate: float = 1e-3
    auxiliary_rate: float = 1e-3
    lam: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    gamma: tuple[float, ...] = (0.5, 1.0, 2.0)
    level_weight: tuple[float, ...] = (1.0, 1.0, 1.0)
    count: str = "prefix"
    rate: str = "noisy"
    one_level_a_step: bool = True
    task_from: float = 0.0
    classes: str = "pictures"
    target: str = "labels"
    second: str = ""
    second_every: int = 4
    jitter: float = 0.0
    features: str = ""
    feature_weight: tuple[float, ...] = ()
    label_smoothing: float = 0.1
    cut_share: float = 0.5
    order: str = "sigma"
    context: bool = True
    y_step: tuple[float, ...] = (1.0, 1.0)
    clip: float = 5.0
    ema: float = 0.999
    listing: str = ""
    large: str = ""
    large_every: int = 4
    large_size: int = 128
    start_step: float = 64.0  # grey levels that one unit of y stands for before training (linear path)
    bf16: bool = False
    compiled: bool = False
    recorded: bool = False
    fast_layout: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        levels = len(self.codec.blocks)
        for field in ("lam", "gamma", "level_weight", *["feature_weight"] * bool(self.features)):
            if len(getattr(self, field)) != levels:
                raise RecipeError(
                    f"{self.name}: {field} has {len(getattr(self, field))} values, the codec {levels} levels."
                )
        for field, allowed in CHOICES.items():
            if getattr(self, field) not in allowed:
                raise RecipeError(
                    f"{self.name}: {field} is {getattr(self, field)!r}, it can be {' or '.join(allowed)}."
                )
        if len(self.y_step) != 2 or not 0 < self.y_step[0] <= self.y_step[1]:
            raise RecipeError(
                f"{self.name}: y_step is {self.y_step}, it is the least and the largest step, both above 0."
            )
        if self.size % 64 or self.large_size % 64:
            sizes = f"{self.size} and {self.large_size}"
            raise RecipeError(f"{self.name}: sizes are {sizes}; training pictures have sides that are multiples of 64.")
        for what, count in (("batch_size", self.batch_size), *([("large batch", self.large_count)] * bool(self.large))):
            if self.parts < 1 or count % self.parts:
                raise RecipeError(f"{self.name}: a {what} of {count} cannot be had in {self.parts} equal parts.")

    @property
    def large_count(self) -> int:
        """Pictures of a large step: as many pixels as the others have."""
        return max(1, self.batch_size * self.size**2 // self.large_size**2)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON: what a checkpoint remembers of its recipe."""
        return as_json(self)


def as_json(recipe: Any) -> dict[str, Any]:
    """A recipe, of any dataclass, as JSON gives it back: a checkpoint is compared with it."""
    return json.loads(json.dumps(asdict(recipe)))


def from_json(stored: dict[str, Any]) -> Recipe:
    """The recipe that weights remember; fields that they do not know have their defaults.

    Raises CheckpointError for fields that this version does not know.
    """
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    try:
        return Recipe(**values | {"codec": CodecConfig.from_json(stored["codec"])})
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"These weights were trained by a recipe that is none of ours ({error}).") from None


def defaults(recipe: type) -> dict[str, Any]:
    """Of any recipe's dataclass, the fields that need not be given, as JSON: what a checkpoint of an older version,
    which did not know them, was trained with.
    """
    return json.loads(json.dumps({f.name: f.default for f in fields(recipe) if f.default is not MISSING}))


def changed(base: Recipe, assignments: list[str]) -> Recipe:
    """``base`` with fields set as ``field=value`` says (numbers, tuples and words as in Python, quotes not needed).

    Raises RecipeError for a field that a recipe does not have, or a value of another type.
    """
    values: dict[str, Any] = {}
    known = {f.name: getattr(base, f.name) for f in fields(Recipe) if f.name not in ("name", "codec")}
    for assignment in assignments:
        field, equals, text = assignment.partition("=")
        if not equals or field not in known:
            raise RecipeError(f"{assignment!r} sets no field of a recipe: write FIELD=VALUE, of {', '.join(known)}.")
        was = known[field]
        if isinstance(was, str):
            values[field] = text
            continue
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = None
        if isinstance(was, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(was):
            raise RecipeError(f"{field} is {was!r}, {text!r} is no such value: give a {type(was).__name__}.")
        values[field] = value
    return replace(base, **values)
