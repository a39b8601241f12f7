"""A pyramid codec, a colour classifier and a three-level hierarchy: small enough to know every answer by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hierlib.codec.protocol import Decoded
from hierlib.errors import BitstreamError
from hierlib.hierarchy.tree import Hierarchy

SIDES = (1, 2, 4, 8, 16, 32)
COLOURS = {"red": (0.9, 0.1, 0.1), "orange": (0.9, 0.5, 0.1), "blue": (0.1, 0.1, 0.9), "cyan": (0.1, 0.8, 0.9)}


class Pyramid:
    """Raw thumbnails of rising size behind each other; a prefix shows the largest that is complete."""

    name = "pyramid"

    def encode(self, image):
        small = [F.adaptive_avg_pool2d(image, side) for side in SIDES]
        size = bytes([image.shape[1], image.shape[2]])
        return size + b"".join((s * 255).round().byte().numpy().tobytes() for s in small)

    def level_ends(self, stream):
        return tuple(2 + sum(3 * s * s for s in SIDES[: k + 1]) for k in (1, 3, 5))

    def decode(self, prefix):
        if len(prefix) >= 2 and 0 in prefix[:2]:
            raise BitstreamError("A picture of no size: the stream is damaged; send it again.")
        height, width = prefix[:2] if len(prefix) >= 2 else (64, 64)
        image, used = torch.full((3, height, width), 0.5), min(2, len(prefix))
        for side in SIDES:
            end = used + 3 * side * side
            if end > len(prefix):
                break
            pixels = torch.frombuffer(bytearray(prefix[used:end]), dtype=torch.uint8).reshape(1, 3, side, side)
            image, used = F.interpolate(pixels / 255, (height, width), mode="bilinear")[0], end
        level = sum(end <= len(prefix) for end in self.level_ends(prefix))
        return Decoded(image, level, used, 2 + sum(3 * s * s for s in SIDES), used, level == 3)


class ByColour:
    """Logits by the distance of the mean colour to each of COLOURS."""

    name = "by colour"
    wnids = tuple(COLOURS)

    def __call__(self, images):
        return -20 * torch.cdist(images.mean((2, 3)), torch.tensor(list(COLOURS.values()))) ** 2


def hierarchy() -> Hierarchy:
    """warm: red, orange; cold: blue, cyan."""
    groups = [[0, 0, 1, 1], [0, 1, 2, 3]]
    names = (("warm", "cold"), tuple(COLOURS))
    return Hierarchy("colours", tuple(COLOURS), tuple(COLOURS), ("family", "colour"), groups, names)


def picture(colour: str, seed: int = 0, size: int = 64):
    """(3, size, size): a colour with a disc and some noise on it."""
    ys, xs = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    disc = ((xs**2 + ys**2) < 0.5).float()
    noise = 0.08 * torch.randn(3, size, size, generator=torch.Generator().manual_seed(seed))
    return (torch.tensor(COLOURS[colour])[:, None, None] + 0.12 * disc + noise).clamp(0, 1)
