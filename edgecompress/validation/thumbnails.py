"""Thumbnails: samples that are images, small enough for a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch

LEAST_PIXELS, MOST_PIXELS = 8, 96
"""Height and width of what counts as an image, and of what is shown, at most."""
QUALITY = 80
"""Of JPEG, for what is no longer a few pixels."""


def thumbnail(batch: Batch, row: int, most_pixels: int = MOST_PIXELS) -> str | None:
    """A sample as a data URI, its sides at most so many pixels long; None where it is no image.

    An image is the only input of its model, of shape (rows, 1 or 3, height, width) or (rows, height, width, 1 or 3).
    How it was normalized is not known: its least value becomes black, its greatest white.
    """
    pixels = _pixels(batch, row)
    if pixels is None:
        return None
    low, high = float(pixels.min()), float(pixels.max())
    shades = np.rint((pixels.astype(np.float64) - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    image = Image.fromarray(shades if shades.shape[2] == 3 else shades[:, :, 0])
    image.thumbnail((most_pixels, most_pixels))
    return data_uri(image, exact=max(image.size) <= MOST_PIXELS // 2)


def image_size(batch: Batch, row: int) -> tuple[int, int] | None:
    """Width and height of a sample in pixels; None where it is no image."""
    pixels = _pixels(batch, row)
    return None if pixels is None else (pixels.shape[1], pixels.shape[0])


def data_uri(image: Image.Image, *, exact: bool) -> str:
    """An image as a part of a page: a PNG where each pixel has to stay as it is, else a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG" if exact else "JPEG", quality=QUALITY)
    return f"data:image/{'png' if exact else 'jpeg'};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _pixels(batch: Batch, row: int) -> Array | None:
    """A sample of shape (height, width, channels), if it is an image."""
    return _channels_last(next(iter(batch.inputs.values())), row) if len(batch.inputs) == 1 else None


def _channels_last(images: Array, row: int) -> Array | None:
    """One image of shape (height, width, channels)."""
    if images.ndim != 4:
        return None
    image = images[row]
    if image.shape[0] in (1, 3):
        image = image.transpose(1, 2, 0)
    return image if image.shape[2] in (1, 3) and min(image.shape[:2]) >= LEAST_PIXELS else None
