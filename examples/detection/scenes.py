"""Scenes of shapes of any size, each with a colour and a tilt of its own, on a noisy ground, and where each is."""

from __future__ import annotations

import numpy as np

SIDE = 96
NOISE = 0.15
SHAPES = (1, 5)
"""The least and the most shapes of a scene."""
RADII = (5.0, 26.0)
"""Of the circle around a shape, in pixels."""
CROWDED = 0.25
"""The intersection over union above which a shape would hide another one."""
CLASSES = ("disc", "square", "triangle", "cross")

Array = np.ndarray


def scene(draw: np.random.Generator) -> tuple[Array, Array, Array]:
    """A picture with the boxes around its shapes, and their classes.

    Returns:
        float32 (3, 96, 96); float32 (shapes, 4), left, top, right, bottom in pixels; int64 (shapes,), indices of
        ``CLASSES``.
    """
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    picture = _ground(draw, rows, columns)
    boxes, labels = np.zeros((0, 4), np.float32), []
    for _ in range(draw.integers(SHAPES[0], SHAPES[1] + 1)):
        label = int(draw.integers(len(CLASSES)))
        inside = _shape(draw, label, rows, columns)
        box = _around(inside)
        if box is None or (overlaps(box[None], boxes) > CROWDED).any():
            continue
        shade = draw.uniform(-1, 1, 3)
        picture[:, inside] = (shade + np.sign(shade.sum()))[:, None] / 2
        boxes, labels = np.concatenate([boxes, box[None]]), [*labels, label]
    noisy = picture + draw.normal(0, NOISE, picture.shape)
    return noisy.astype(np.float32), boxes, np.array(labels, np.int64)


def overlaps(some: Array, others: Array) -> Array:
    """Intersection over union of boxes (m, 4) and (n, 4): (m, n)."""
    low, high = np.maximum(some[:, None, :2], others[:, :2]), np.minimum(some[:, None, 2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    area, other = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (some, others))
    return shared / np.maximum(area[:, None] + other - shared, 1e-9)


def _ground(draw: np.random.Generator, rows: Array, columns: Array) -> Array:
    """Waves of a few colours: (3, 96, 96)."""
    across, down = draw.uniform(-0.3, 0.3, (2, 3, 1, 1))
    return 0.3 * np.sin(across * columns + down * rows + draw.uniform(0, 6, (3, 1, 1)))


def _shape(draw: np.random.Generator, label: int, rows: Array, columns: Array) -> Array:
    """Which pixels are in a shape that lies anywhere in the picture: bool (96, 96)."""
    radius = np.exp(draw.uniform(*np.log(RADII)))
    top, left = draw.uniform(0.7 * radius, SIDE - 0.7 * radius, 2)
    tilt = draw.uniform(-0.4, 0.4)
    x, y = (columns - left) / radius, (rows - top) / radius
    x, y = np.cos(tilt) * x - np.sin(tilt) * y, np.sin(tilt) * x + np.cos(tilt) * y
    far, near = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    disc, square, cross = np.hypot(x, y) < 0.9, far < 0.75, (far < 0.95) & (near < 0.3)
    triangle = (y < 0.75) & (y > 1.9 * np.abs(x) - 0.95)
    return (disc, square, triangle, cross)[label]


def _around(inside: Array) -> Array | None:
    """The box around the pixels of a shape; None where there are hardly any."""
    if inside.sum() < 12:
        return None
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
