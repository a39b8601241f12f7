"""A four-class world whose every answer is known by hand.

Classes: cat, dog (animals), car, bus (vehicles). A picture's red says vehicle, its green says second of the kind.
A file is [height, width, red, green]; so 2 bytes show nothing, 3 bytes the kind, 4 bytes everything.
"""

import numpy as np
import torch

from hierlib.codec.protocol import Decoded
from hierlib.hierarchy.tree import Hierarchy
from hierlib.images.packs import from_arrays

WNIDS = ("cat", "dog", "car", "bus")


class FourBytes:
    """Remembers the length of every prefix it was given."""

    name = "four bytes"

    def __init__(self, padding=0):
        self.padding = padding
        self._asked = []
        self._encoded = 0

    def encode(self, image):
        self._encoded += 1
        red, green = (round(float(image[c].mean()) * 255) for c in (0, 1))
        return bytes([image.shape[1], image.shape[2], red, green]) + bytes(self.padding)

    def decode(self, prefix):
        self._asked.append(len(prefix))
        height, width = prefix[:2] if len(prefix) >= 2 else (1, 1)
        image = torch.full((3, height, width), 0.5)
        known = max(0, min(2, len(prefix) - 2))
        for channel in range(known):
            image[channel] = prefix[2 + channel] / 255
        whole = len(prefix) == 4 + self.padding
        return Decoded(image, known, known, 2, min(len(prefix), 2 + known) if known else 0, whole)

    def level_ends(self, stream):
        return (3, 4) if self.padding else (3,)


class Later(FourBytes):
    """The same four bytes, behind one that says nothing."""

    def encode(self, image):
        return b"\0" + super().encode(image)

    def decode(self, prefix):
        return super().decode(prefix[1:])


class ByColour:
    """Sure of the kind (0.9) once red is known; of two equally likely of a kind the first gets 0.6."""

    name = "by colour"

    def __init__(self, wnids=WNIDS):
        self.wnids = tuple(wnids)
        self._calls = 0
        self._stop_at = None

    def __call__(self, images):
        self._calls += 1
        if self._calls == self._stop_at:
            raise KeyboardInterrupt
        red, green = images[:, 0].mean((1, 2)), images[:, 1].mean((1, 2))
        vehicle = 0.1 + 0.8 * red
        second = torch.where((green - 0.5).abs() < 0.1, torch.tensor(0.4), 0.2 + 0.6 * green)
        p = {
            "cat": (1 - vehicle) * (1 - second),
            "dog": (1 - vehicle) * second,
            "car": vehicle * (1 - second),
            "bus": vehicle * second,
        }
        return torch.stack([p.get(wnid, torch.zeros_like(red)).clamp(min=1e-9).log() for wnid in self.wnids], 1)


def hierarchy(wnids=WNIDS):
    groups = np.array([[0, 0, 1, 1], [0, 1, 2, 3]])
    return Hierarchy("toy", wnids, WNIDS, ("kind", "thing"), groups, (("animal", "vehicle"), WNIDS))


def pictures(classes, wnids=WNIDS, side=6):
    """One flat picture per class row given."""
    pixels = np.zeros((len(classes), side, side, 3), dtype=np.uint8)
    for i, c in enumerate(classes):
        pixels[i, ..., 0], pixels[i, ..., 1] = 255 * (c // 2), 255 * (c % 2)
    return from_arrays("toys", wnids, WNIDS, pixels, np.array(classes))
