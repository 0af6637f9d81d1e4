"""Pictures and masks as their files have them, decoded by Pillow.

Pictures are turned as their EXIF says. 16-bit ones keep their upper 8 bits; of palettes, CMYK and others the colors are
taken, and transparency is left out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from edgecompress.arrays import Array
from edgecompress.errors import DataError, first_line
from edgecompress.loading.folders.framing import Size

IMAGE_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is decoded; among Pillow's other formats are some for which it starts a program."""
MAX_PIXELS = 2**26
WIDE = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Modes of Pillow with more than 8 bits."""
MOST_OF_16_BITS = 2**16 - 1
UNKNOWN = 255
"""What masks have where nothing is known, as those of PASCAL VOC."""
CLASS_MODES = ("1", "L", "P", *WIDE)
"""Modes with a single value for each pixel."""


def read_picture(path: Path, mode: str, drawn: Size | None = None) -> Image.Image:
    """A picture in Pillow's mode ``RGB`` or ``L``.

    Args:
        path: its file.
        mode: of the result.
        drawn: height and width that its targets were drawn on, which tells whether they are of the turned picture.

    Raises:
        DataError: it cannot be decoded.
    """
    with _opened(path, "image") as image:
        turned = ImageOps.exif_transpose(image)
        as_drawn = drawn is not None and image.size[::-1] == drawn != turned.size[::-1]
        return _narrow(image if as_drawn else turned).convert(mode)


def read_mask(path: Path) -> Array:
    """The values of a mask, (height, width) int64: indices of its palette, or grays.

    Raises:
        DataError: it cannot be decoded, or has colors.
    """
    with _opened(path, "mask") as image:
        mode, values = image.mode, np.asarray(image)
    if mode not in CLASS_MODES:
        raise DataError(
            f"mask {str(path)!r} has colors ({mode}); save a gray or palette PNG with a class for each pixel"
        )
    return values.astype(np.int64)


@contextmanager
def _opened(path: Path, called: str) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings(), Image.open(path, formats=IMAGE_FORMATS) as image:
            warnings.simplefilter("ignore")
            if math.prod(image.size) > MAX_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            image.load()
            yield image
    except Exception as error:  # each decoder has exceptions of its own for what is damaged
        raise DataError(
            f"{called} {str(path)!r} cannot be read: {first_line(error)}; repair the file, or take it out"
        ) from None


def _narrow(image: Image.Image) -> Image.Image:
    """The same with 8 bits for each value."""
    if image.mode not in WIDE:
        if image.mode == "F":
            raise ValueError("it holds 32-bit floats")
        return image
    values = np.asarray(image).astype(np.int64)
    if values.max(initial=0) > MOST_OF_16_BITS or values.min(initial=0) < 0:
        raise ValueError("it has more than 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8))
