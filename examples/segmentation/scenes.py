"""Scenes of shapes that lie on and over each other, each with a texture of its own, and what is where.

Colours hint at the class, outlines decide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SIDE = 48
NOISE = 0.1
SHAPES = (2, 4)
"""The least and the most shapes of a scene."""
RADII = (7.0, 13.0)

Array = np.ndarray


def _disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) < 1


def _square(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) < 0.8


def _triangle(x: Array, y: Array) -> Array:
    return (y > -0.5) & (y + np.sqrt(3) * np.abs(x) < 1)


def _cross(x: Array, y: Array) -> Array:
    return (np.minimum(np.abs(x), np.abs(y)) < 0.3) & (np.maximum(np.abs(x), np.abs(y)) < 1)


OUTLINES: tuple[Callable[[Array, Array], Array], ...] = (_disc, _square, _triangle, _cross)
CLASSES = ("ground", "disc", "square", "triangle", "cross")
COLOURS = ((0, 0, 0), (1, -1, -1), (-1, 1, -1), (-1, -1, 1), (1, 1, -1))
"""Red, green and blue around which those of each class lie."""
HINT = 0.6
"""How far from grey; each colour deviates by up to 1."""


def scene(draw: np.random.Generator) -> tuple[Array, Array]:
    """A picture, float32 (3, 48, 48), and the class of each of its pixels, int64 (48, 48), an index of ``CLASSES``."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    picture, mask = _surface(draw, 0, rows, columns), np.zeros((SIDE, SIDE), np.int64)
    for _ in range(draw.integers(SHAPES[0], SHAPES[1] + 1)):
        kind = int(draw.integers(1, len(CLASSES)))
        inside = OUTLINES[kind - 1](*_turned(draw, rows, columns))
        picture[:, inside] = _surface(draw, kind, rows, columns)[:, inside]
        mask[inside] = kind
    light = 1 + 0.3 * draw.uniform(-1, 1) * (rows / SIDE - 0.5)
    return (picture * light + draw.normal(0, NOISE, picture.shape)).astype(np.float32), mask


def _turned(draw: np.random.Generator, rows: Array, columns: Array) -> tuple[Array, Array]:
    """The pixels as a shape sees them that lies anywhere, turned and of any size: its own radius is 1."""
    top, left = draw.uniform(0.1 * SIDE, 0.9 * SIDE, 2)
    angle, radius = draw.uniform(0, 2 * np.pi), draw.uniform(*RADII)
    x, y = (columns - left) / radius, (rows - top) / radius
    return np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y


def _surface(draw: np.random.Generator, kind: int, rows: Array, columns: Array) -> Array:
    """Two colours in stripes, in checks or mixed evenly: (3, 48, 48)."""
    first, second = HINT * np.array(COLOURS[kind])[:, None, None] + draw.uniform(-1, 1, (2, 3, 1, 1))
    across, down = draw.uniform(-1, 1, 2)
    waves = np.sin(across * columns + down * rows)
    pattern = (waves, np.sign(waves * np.sin(down * columns - across * rows)), np.zeros_like(waves))
    return first + 0.2 * (second - first) * (1 + pattern[draw.integers(3)])
