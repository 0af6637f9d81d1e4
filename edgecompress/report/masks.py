"""Masks as pictures: a colour for each class, and where two masks differ."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgecompress.arrays import Array
from edgecompress.validation.thumbnails import data_uri

MOST_PIXELS = 160
"""The longer side of a mask that is shown; places between are left out, for classes have no mean."""
GOLDEN = 0.618034
"""Of a turn of the hue from one class to the next, so that neighbours differ whatever their number."""
UNKNOWN, SAME, DIFFERENT = (128, 128, 128), (225, 229, 235), (200, 40, 30)


def drawn_mask(classes: Array) -> str:
    """A mask of shape (height, width) as a data URI; class 0 is black, and what does not count, below 0, is grey."""
    found = _small(classes)
    present = np.unique(found)
    pixels = np.zeros((*found.shape, 3), np.uint8)
    for label in present.tolist():
        pixels[found == label] = _colour(label)
    return data_uri(Image.fromarray(pixels), exact=True)


def drawn_difference(before: Array, after: Array) -> str:
    """Where two masks of one shape differ, as a data URI: red on a light ground."""
    differs = _small(before != after)
    pixels: NDArray[np.uint8] = np.where(differs[..., None], DIFFERENT, SAME).astype(np.uint8)
    return data_uri(Image.fromarray(pixels), exact=True)


def mask_colour(label: int) -> str:
    """The colour of a class in CSS.

    >>> mask_colour(0), mask_colour(-1)
    ('rgb(0, 0, 0)', 'rgb(128, 128, 128)')
    """
    return f"rgb{_colour(label)}"


def _small(mask: Array) -> Array:
    step = -(-max(mask.shape) // MOST_PIXELS)
    return mask[::step, ::step]


def _colour(label: int) -> tuple[int, ...]:
    if label < 0:
        return UNKNOWN
    if label == 0:
        return (0, 0, 0)
    shades = colorsys.hsv_to_rgb(label * GOLDEN % 1, 0.75, 0.65 + 0.35 * (label % 2))
    return tuple(round(255 * shade) for shade in shades)
