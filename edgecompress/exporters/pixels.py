"""Bytes of a camera and the input of a network: what normalization makes of one, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgecompress.arrays import Array
from edgecompress.errors import DataError, RecipeError
from edgecompress.recipe.tables import Recipe

Layout = Literal["nchw", "nhwc"]
WHITE = 255
Step = tuple[Literal["Div", "Sub"], Array]
"""An operator of ONNX, and the constant that it divides by or subtracts."""
NEAR = 0.01
"""By how much of a step from one byte to the next an input may lie off it: what float32 rounds is far less."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How pictures are made of bytes: scaled to 1 where ``scaled``, ``mean`` subtracted, divided by ``std``.

    ``mean`` and ``std`` are for each channel, or one for all; ``layout`` is that of the bytes, ``own`` that of the
    network.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scaled: bool
    layout: Layout
    own: Layout

    @property
    def whites(self) -> Array:
        """What each byte is divided by first, float32."""
        return np.array(WHITE if self.scaled else 1, np.float32)

    def by_channel(self, values: tuple[float, ...]) -> Array:
        """Values for each channel as float32, of a shape that broadcasts against the network's input."""
        array = np.array(values, np.float32)
        return array if self.own == "nhwc" else array.reshape(-1, 1, 1)

    def normalized(self, pixels: Array) -> Array:
        """What the network is given.

        Args:
            pixels: uint8 in the layout of the bytes, the batch first.

        Returns:
            float32 in the network's layout, computed in float32 step by step.
        """
        own = _moved(pixels, self.layout, self.own).astype(np.float32)
        scaled = own / self.whites if self.scaled else own
        found: Array = (scaled - self.by_channel(self.mean)) / self.by_channel(self.std)
        return found

    @property
    def steps(self) -> tuple[Step, ...]:
        """Operators of ONNX with their constants, which make of each byte as a float what :meth:`normalized` does.

        They are as few as give the same bits for all 256 bytes of each channel. A division by 255 and another one by a
        power of two are one, as is what has no mean.

        >>> half = Pixels(mean=(0.5,), std=(0.5,), scaled=True, layout="nchw", own="nchw")
        >>> [(name, value.item()) for name, value in half.steps]
        [('Div', 127.5), ('Sub', 1.0)]
        """
        mean, std = self.by_channel(self.mean), self.by_channel(self.std)
        whole = _that_change([("Div", self.whites), ("Sub", mean), ("Div", std)])
        merged = _that_change([("Div", self.whites * std), ("Sub", mean / std)])
        alike = len(merged) < len(whole) and np.array_equal(_of_all_bytes(merged), _of_all_bytes(whole))
        return merged if alike else whole

    def bytes_of(self, inputs: Array) -> Array:
        """The bytes that inputs were made of.

        Args:
            inputs: float32 in the network's layout, the batch first.

        Raises:
            DataError: they are not made of bytes in this way.
        """
        exact = inputs.astype(np.float64) * self.by_channel(self.std) + self.by_channel(self.mean)
        values = exact * float(self.whites)
        found = np.clip(np.rint(values), 0, WHITE)
        if values.size and float(np.abs(values - found).max()) > NEAR:
            raise DataError(
                f"the data hold pictures that images.mean={list(self.mean)} and images.std={list(self.std)} do not make"
                " of bytes; set those that your preprocessing has, or leave export.image_input out"
            )
        return np.ascontiguousarray(_moved(found.astype(np.uint8), self.own, self.layout))


def pixels_of(recipe: Recipe) -> Pixels:
    """How the pictures of a recipe are made of bytes.

    Raises:
        RecipeError: mean and deviation are not known.
    """
    images, export = recipe.images, recipe.export
    if images.mean is None or images.std is None:
        raise RecipeError(
            "'export.image_input' is 'uint8', and nothing says how pictures are normalized; set images.mean=[...] and"
            " images.std=[...], or give a folder of pictures"
        )
    own: Layout = "nhwc" if images.layout == "channels_last" else "nchw"
    return Pixels(mean=images.mean, std=images.std, scaled=images.scaled, layout=export.image_layout, own=own)


def _that_change(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps without those that change nothing."""
    return tuple((name, value) for name, value in steps if (value != (name == "Div")).any())


def _of_all_bytes(steps: Sequence[Step]) -> Array:
    """What becomes of all bytes in float32, step by step."""
    value: Array = np.arange(WHITE + 1, dtype=np.float32).reshape(-1, 1, 1, 1)
    for name, by in steps:
        value = value / by if name == "Div" else value - by
    return value


def _moved(pixels: Array, layout: Layout, wanted: Layout) -> Array:
    if layout == wanted:
        return pixels
    return pixels.transpose(0, 3, 1, 2) if wanted == "nchw" else pixels.transpose(0, 2, 3, 1)
