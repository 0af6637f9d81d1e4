"""Thumbnails are the samples themselves, in few bytes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from edgecompress.data.batches import Batch
from edgecompress.validation.thumbnails import MOST_PIXELS, thumbnail


def _opened(uri: str | None) -> Image.Image:
    assert uri is not None
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_small_image_comes_back_exactly(channels_last: bool) -> None:
    shades = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), np.uint8)
    shades[:, 0, 0], shades[:, 0, 1] = 0, 255
    images = shades.astype(np.float32) / 127.5 - 1
    batch = Batch(inputs={"x": images if channels_last else images.transpose(0, 3, 1, 2)})
    image = _opened(thumbnail(batch, 1))
    assert image.format == "PNG"
    np.testing.assert_array_equal(np.asarray(image), shades[1])


def test_grey_stays_grey() -> None:
    batch = Batch(inputs={"x": np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)})
    assert _opened(thumbnail(batch, 0)).mode == "L"


def test_a_large_image_becomes_small() -> None:
    batch = Batch(inputs={"x": np.random.default_rng(0).random((1, 3, 224, 448), np.float32)})
    image = _opened(thumbnail(batch, 0))
    assert (image.format, max(image.size)) == ("JPEG", MOST_PIXELS)


def test_an_image_of_one_shade_is_no_fault() -> None:
    assert _opened(thumbnail(Batch(inputs={"x": np.ones((1, 3, 8, 8), np.float32)}), 0)).size == (8, 8)


@pytest.mark.parametrize("shape", [(2, 10), (2, 4, 16, 16), (2, 3, 4, 4), (2, 3, 16, 16, 16)])
def test_what_is_no_image_has_no_thumbnail(shape: tuple[int, ...]) -> None:
    assert thumbnail(Batch(inputs={"x": np.zeros(shape, np.float32)}), 0) is None


def test_an_image_with_other_inputs_is_not_shown() -> None:
    image = np.zeros((2, 3, 16, 16), np.float32)
    assert thumbnail(Batch(inputs={"x": image, "y": image}), 0) is None
