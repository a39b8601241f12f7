"""A labelled set that needs no download: drawn shapes in three levels, family > shape > texture.

Families (round, angular) are told apart by the outline, the six shapes by the same at a finer look, and the three
textures only by fine detail: what a coarse-to-fine codec should send first, second and last.
"""

from __future__ import annotations

import itertools

import numpy as np

from .packs import PictureSet, from_arrays

FAMILIES = {"round": ("disc", "ring", "crescent"), "angular": ("square", "triangle", "star")}
TEXTURES = ("plain", "striped", "spotted")
CLASSES = tuple(
    (family, shape, texture) for family, shapes in FAMILIES.items() for shape in shapes for texture in TEXTURES
)


def class_ids() -> tuple[str, ...]:
    """One key a class, as ``disc-striped``: these classes are in no WordNet."""
    return tuple(f"{shape}-{texture}" for _, shape, texture in CLASSES)


def shapes(count: int, size: int = 64, seed: int = 0) -> PictureSet:
    """``count`` pictures of ``size`` x ``size``, classes in turn, everything else drawn from ``seed``."""
    random = np.random.default_rng((seed, count, size))
    labels = np.arange(count) % len(CLASSES)
    pixels = np.stack([_draw(CLASSES[label], size, random) for label in labels])
    names = tuple(f"{texture} {shape}" for _, shape, texture in CLASSES)
    return from_arrays(f"shapes:{count}", class_ids(), names, pixels, labels)


def _draw(kind: tuple[str, str, str], size: int, random: np.random.Generator) -> np.ndarray:
    """One picture, (size, size, 3) uint8, anti-aliased by drawing at twice the size."""
    _, shape, texture = kind
    fine = 2 * size
    y, x = np.mgrid[0:fine, 0:fine] / fine * 2 - 1
    centre, radius, turn = random.uniform(-0.25, 0.25, 2), random.uniform(0.45, 0.7), random.uniform(0, 2 * np.pi)
    u, v = (x - centre[0]) / radius, (y - centre[1]) / radius
    u, v = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    inside = _outline(shape, u, v)
    marked = _texture(texture, x, y, random)
    ground, figure, mark = _colours(random)
    shade = (random.uniform(-0.2, 0.2) * x + random.uniform(-0.2, 0.2) * y)[..., None]
    picture = np.where(inside[..., None], np.where(marked[..., None], mark, figure), ground + shade)
    picture = picture.reshape(size, 2, size, 2, 3).mean((1, 3)) + random.normal(0, 0.02, (size, size, 3))
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _outline(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which points (u, v), in units of the shape's radius, lie inside it."""
    r, angle = np.hypot(u, v), np.arctan2(v, u)
    if shape == "disc":
        return r < 1
    if shape == "ring":
        return (r < 1) & (r > 0.55)
    if shape == "crescent":
        return (r < 1) & (np.hypot(u - 0.45, v) > 0.75)
    if shape == "square":
        return np.maximum(abs(u), abs(v)) < 0.8
    corners = 3 if shape == "triangle" else 5
    sector = (angle % (2 * np.pi / corners)) - np.pi / corners
    if shape == "triangle":
        return r * np.cos(sector) < 0.5
    along = 1 - abs(sector) / (np.pi / corners)  # star: from a valley (0) to a tip (1)
    return r < 0.95 * (0.42 + 0.58 * (1 - along) ** 1.5)


def _texture(texture: str, x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Where the second colour lies: nowhere, in stripes, in spots."""
    turn, period = random.uniform(0, np.pi), random.uniform(0.16, 0.24)
    a, b = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    if texture == "plain":
        return np.zeros(x.shape, dtype=bool)
    if texture == "striped":
        return (a / period) % 1 < 0.5
    return np.hypot((a / period) % 1 - 0.5, (b / period) % 1 - 0.5) < 0.32


def _colours(random: np.random.Generator) -> list[np.ndarray]:
    """Ground, figure and mark: three colours that differ visibly in brightness."""
    while True:
        colours = random.uniform(0.1, 0.9, (3, 3))
        grey = colours.mean(1)
        if min(abs(a - b) for a, b in itertools.combinations(grey, 2)) > 0.15:
            return list(colours)


def hierarchy_rows() -> list[dict[str, str | int]]:
    """The rows of data/hierarchies/shapes.csv: family, shape, and the class itself."""
    families, kinds = list(FAMILIES), [shape for shapes in FAMILIES.values() for shape in shapes]
    return [
        {
            "wnid": f"{shape}-{texture}",
            "name": f"{texture} {shape}",
            "family": families.index(family),
            "family_name": family,
            "shape": kinds.index(shape),
            "shape_name": shape,
            "texture": number,
            "texture_name": f"{texture} {shape}",
        }
        for number, (family, shape, texture) in enumerate(CLASSES)
    ]
