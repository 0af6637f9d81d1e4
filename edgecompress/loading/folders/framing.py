"""Where a picture lies in the input of a network, and where its boxes and the pixels of its mask lie then.

Coordinates are those of edges: 0 is the left edge of the first pixel, and the width the right edge of the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from edgecompress.arrays import Array
from edgecompress.recipe.samples import Images

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, kw_only=True)
class Framing:
    """A part of a picture, resized, in an input.

    Attributes:
        part: left, top, right and bottom of what is taken of the picture, in its pixels.
        resized: height and width of that in the input.
        corner: where its left and top edges lie in the input.
        size: height and width of the input.
    """

    part: tuple[float, float, float, float]
    resized: Size
    corner: tuple[int, int]
    size: Size

    def place(self, picture: Image.Image, border: int) -> Image.Image:
        """The input: bilinear, each new pixel from all that it covers; ``border`` where there is nothing of it."""
        height, width = self.resized
        resized = picture.resize((width, height), Image.Resampling.BILINEAR, box=self.part)
        if self.resized == self.size:
            return resized
        framed = Image.new(picture.mode, self.size[::-1], (border,) * len(picture.getbands()))
        framed.paste(resized, self.corner)
        return framed

    def place_mask(self, mask: Array, border: int) -> Array:
        """A mask (height, width) of the picture in the input: each pixel is the one in which its center lies."""
        left, top, right, bottom = self.part
        (height, width), (x, y) = self.resized, self.corner
        rows = np.floor(top + (np.arange(height) + 0.5) * ((bottom - top) / height)).astype(np.intp)
        columns = np.floor(left + (np.arange(width) + 0.5) * ((right - left) / width)).astype(np.intp)
        framed = np.full(self.size, border, mask.dtype)
        framed[y : y + height, x : x + width] = mask[np.ix_(rows, columns)]
        return framed

    def move(self, corners: Array) -> Array:
        """Boxes (boxes, 4) of the picture in the input, which they may leave."""
        left, top, right, bottom = self.part
        (height, width), corner = self.resized, np.array(self.corner * 2, np.float64)
        scale = np.array([width / (right - left), height / (bottom - top)] * 2)
        moved: Array = (corners - np.array([left, top] * 2)) * scale + corner
        return moved


def framing(picture: Size, images: Images) -> Framing:
    """Where a picture lies.

    Args:
        picture: its height and width.
        images: ``size`` and ``resize`` are settled.
    """
    assert images.size is not None
    assert images.crop_share is not None
    size = images.size
    height, width = picture
    whole = (0.0, 0.0, float(width), float(height))
    if images.resize == "letterbox":
        scale = min(size[0] / height, size[1] / width)
        resized = max(1, round(height * scale)), max(1, round(width * scale))
        corner = (size[1] - resized[1]) // 2, (size[0] - resized[0]) // 2
        return Framing(part=whole, resized=resized, corner=corner, size=size)
    if images.resize == "crop":
        scale = min(height / size[0], width / size[1]) * images.crop_share
        left, top = max(0, (width - size[1] * scale) / 2), max(0, (height - size[0] * scale) / 2)
        whole = (left, top, width - left, height - top)
    return Framing(part=whole, resized=size, corner=(0, 0), size=size)
