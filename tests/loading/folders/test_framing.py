"""Where pictures, boxes and masks lie in an input: closed forms in float64, and pixels that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgecompress.loading.folders.framing import framing
from edgecompress.recipe.samples import Images

SIDES = st.integers(1, 90)
SIZES = st.tuples(SIDES, SIDES)
WAYS: Any = st.sampled_from(["stretch", "crop", "letterbox"])
BORDER = 7


def _images(size: tuple[int, int], resize: Any, share: float = 0.875) -> Images:
    return Images(size=size, resize=resize, crop_share=share)


def test_a_box_in_a_letterbox_lies_where_it_is_computed() -> None:
    # 60 x 120 pixels in 64 x 96: the scale is 0.8, 48 rows, 8 above them.
    framed = framing((60, 120), _images((64, 96), "letterbox"))
    moved = framed.move(np.array([[10, 20, 110, 45.5]], np.float64))
    assert np.allclose(moved, [[8, 24, 88, 44.4]], rtol=0, atol=1e-12)


def test_a_box_in_a_crop_lies_where_it_is_computed() -> None:
    # As torchvision has it: the shorter side, 512, becomes 256, and the middle 224 of it are taken.
    framed = framing((512, 1024), _images((224, 224), "crop"))
    moved = framed.move(np.array([[512, 256, 600, 300], [0, 0, 1024, 512]], np.float64))
    assert np.allclose(moved, [[112, 112, 156, 134], [-144, -16, 368, 240]], rtol=0, atol=1e-12)


def test_a_box_of_a_stretched_picture_keeps_its_shares() -> None:
    framed = framing((50, 100), _images((200, 100), "stretch"))
    assert framed.move(np.array([[10, 10, 20, 40]], np.float64)).tolist() == [[10, 40, 20, 160]]


@given(SIZES, SIZES, WAYS, st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=3), st.floats(0.1, 1))
def test_a_box_lies_where_both_sizes_say_to_within_the_rounding_to_whole_pixels(
    picture: tuple[int, int], size: tuple[int, int], resize: Any, shares: list[tuple[float, ...]], share: float
) -> None:
    """A user who puts boxes back computes scale and border from both sizes, and knows nothing of whole pixels."""
    (height, width), (rows, columns) = picture, size
    boxes = np.array(shares) * [width, height, width, height]
    moved = framing(picture, _images(size, resize, share)).move(boxes)
    across, down = columns / width, rows / height
    if resize != "stretch":
        across = down = (min if resize == "letterbox" else max)(across, down) / (1 if resize == "letterbox" else share)
    border = np.array([(columns - width * across) / 2, (rows - height * down) / 2] * 2)
    there = boxes * np.array([across, down] * 2) + border
    assert np.abs(moved - there).max() <= 0.75 + 1e-9  # half a pixel of the border, a quarter of what is resized
    if resize != "letterbox":
        assert np.allclose(moved, there, rtol=0, atol=1e-9)


@given(SIZES, SIZES, WAYS, st.data())
def test_pixels_and_their_mask_lie_in_the_box_around_them(
    picture: tuple[int, int], size: tuple[int, int], resize: Any, data: st.DataObject
) -> None:
    height, width = picture
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    mask = np.zeros(picture, np.int64)
    mask[top:bottom, left:right] = 1
    framed = framing(picture, _images(size, resize))
    ((x0, y0, x1, y1),) = framed.move(np.array([[left, top, right, bottom]], np.float64))
    classes = framed.place_mask(mask, -100)
    rows, columns = np.arange(size[0])[:, None] + 0.5, np.arange(size[1])[None] + 0.5
    inside = (rows > y0 + 1e-6) & (rows < y1 - 1e-6) & (columns > x0 + 1e-6) & (columns < x1 - 1e-6)
    outside = (rows < y0 - 1e-6) | (rows > y1 + 1e-6) | (columns < x0 - 1e-6) | (columns > x1 + 1e-6)
    assert classes.shape == size
    assert (classes[inside] == 1).all()
    assert (classes[outside] != 1).all()
    shades = np.asarray(framed.place(Image.fromarray((mask * 255).astype(np.uint8)), 0), np.float64)
    # A pixel is a mean over a window around it, of one pixel at least in the picture and in the input.
    scale = np.array(
        [framed.resized[1] / (framed.part[2] - framed.part[0]), framed.resized[0] / (framed.part[3] - framed.part[1])]
    )
    reach = np.maximum(scale, 1) + 0.5
    far = (rows < y0 - reach[1]) | (rows > y1 + reach[1]) | (columns < x0 - reach[0]) | (columns > x1 + reach[0])
    deep = (rows > y0 + reach[1]) & (rows < y1 - reach[1]) & (columns > x0 + reach[0]) & (columns < x1 - reach[0])
    assert (shades[far] == 0).all()
    assert (shades[deep] == 255).all()


def test_the_border_of_a_letterbox_has_the_value_that_is_asked_for() -> None:
    framed = framing((2, 4), _images((8, 8), "letterbox"))
    shades = np.asarray(framed.place(Image.new("RGB", (4, 2), (9, 9, 9)), BORDER))
    assert (shades[:2] == BORDER).all()
    assert (shades[2:6] == 9).all()
    assert (shades[6:] == BORDER).all()
    classes = framed.place_mask(np.ones((2, 4), np.int64), -100)
    assert (classes == np.where(shades[:, :, 0] == 9, 1, -100)).all()


@pytest.mark.parametrize("picture", [(1, 1000), (1000, 1), (3, 7)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
def test_pictures_of_any_shape_fit(picture: tuple[int, int], resize: Any) -> None:
    framed = framing(picture, _images((32, 16), resize, 1.0))
    assert framed.place(Image.new("L", picture[::-1], 5), 5).size == (16, 32)
    assert framed.place_mask(np.ones(picture, np.int64), 1).sum() == 32 * 16
