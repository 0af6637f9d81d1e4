"""Masks are drawn place by place, classes told apart by their colours."""

from __future__ import annotations

import base64
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgecompress.arrays import Array
from edgecompress.report.masks import MOST_PIXELS, drawn_difference, drawn_mask


def _pixels(uri: str) -> Array:
    assert uri.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


@given(st.integers(0, 10**6), st.integers(8, 40), st.integers(8, 40))
def test_a_class_has_one_colour_in_every_mask_and_no_other_class_has_it(seed: int, height: int, width: int) -> None:
    first, second = np.random.default_rng(seed).integers(-1, 12, (2, height, width))
    both = np.stack([first, second])
    pixels = np.stack([_pixels(drawn_mask(mask)) for mask in both])
    pairs = {(label, tuple(pixel)) for label, pixel in zip(both.ravel().tolist(), pixels.reshape(-1, 3), strict=True)}
    assert len(pairs) == len({label for label, _ in pairs}) == len({colour for _, colour in pairs})


def test_places_that_do_not_count_are_grey_and_class_0_is_black() -> None:
    pixels = _pixels(drawn_mask(np.repeat([[-100, 0]], 8, 0)))
    assert pixels[0].tolist() == [[128, 128, 128], [0, 0, 0]]


def test_where_masks_differ_is_red() -> None:
    first = np.zeros((8, 9), int)
    second = first.copy()
    second[2, 3] = 1
    red = (_pixels(drawn_difference(first, second)) == [200, 40, 30]).all(-1)
    assert np.argwhere(red).tolist() == [[2, 3]]


def test_large_masks_become_small_and_get_no_new_class() -> None:
    mask = np.random.default_rng(0).choice([1, 5], (700, 300))
    pixels = _pixels(drawn_mask(mask))
    assert pixels.shape == (140, 60, 3)
    assert max(pixels.shape) <= MOST_PIXELS
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 2
