"""Bytes, what they become, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import DataError, RecipeError
from edgecompress.exporters.pixels import Layout, Pixels, pixels_of
from edgecompress.loading.folders.dataset import Pictures
from edgecompress.loading.folders.recognition import read_folder
from edgecompress.recipe.tables import parse_recipe
from tests.drawn_folders import draw

EVERY = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
IMAGES: dict[str, Any] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def _pixels(layout: Layout, own: str, *, scaled: bool = True) -> Pixels:
    images = {**IMAGES, "layout": own, "scaled": scaled}
    return pixels_of(parse_recipe({"images": images, "export": {"image_layout": layout}}))


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("own", ["channels_first", "channels_last"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_every_byte_comes_back(layout: Layout, own: str, scaled: bool) -> None:
    pixels = _pixels(layout, own, scaled=scaled)
    given = EVERY if layout == "nhwc" else EVERY.transpose(0, 3, 1, 2)
    inputs = pixels.normalized(given)
    assert inputs.dtype == np.float32
    assert inputs.shape == ((1, 16, 16, 3) if own == "channels_last" else (1, 3, 16, 16))
    back = pixels.bytes_of(inputs)
    assert back.dtype == np.uint8
    assert np.array_equal(back, given)


def test_it_is_what_pictures_of_a_folder_become(tmp_path: Any) -> None:
    draw(tmp_path / "a.png", (4, 4), (12, 200, 255))
    recipe = parse_recipe(
        {"images": {**IMAGES, "size": [4, 4], "resize": "stretch", "channels": "rgb", "crop_share": 1.0}}
    )
    folder = read_folder(tmp_path, "calibration")
    read = Pictures(folder=folder, images=recipe.images.model_copy(update={"layout": "channels_first"}))[0]
    given = np.broadcast_to(np.array([12, 200, 255], np.uint8).reshape(1, 3, 1, 1), (1, 3, 4, 4))
    assert np.array_equal(_pixels("nchw", "channels_first").normalized(given)[0], read)


def test_data_of_another_normalization_are_refused() -> None:
    pixels = _pixels("nchw", "channels_first")
    with pytest.raises(DataError) as caught:
        pixels.bytes_of(np.random.default_rng(0).standard_normal((1, 3, 4, 4)).astype(np.float32))
    assert str(caught.value) == (
        "the data hold pictures that images.mean=[0.485, 0.456, 0.406] and images.std=[0.229, 0.224, 0.225] do not make"
        " of bytes; set those that your preprocessing has, or leave export.image_input out"
    )


def test_a_recipe_has_to_say_how_pictures_are_normalized() -> None:
    with pytest.raises(RecipeError) as caught:
        pixels_of(parse_recipe({"export": {"image_input": "uint8"}}))
    assert str(caught.value) == (
        "'export.image_input' is 'uint8', and nothing says how pictures are normalized; set images.mean=[...] and"
        " images.std=[...], or give a folder of pictures"
    )


CHANNEL = st.tuples(st.floats(0, 1, width=32), st.floats(2**-10, 2, width=32) | st.sampled_from([0.25, 0.5, 1.0]))
LAYOUTS: tuple[Layout, ...] = ("nchw", "nhwc")


@given(
    st.sampled_from([1, 3]).flatmap(lambda count: st.lists(CHANNEL, min_size=count, max_size=count)),
    st.booleans(),
    st.sampled_from(LAYOUTS),
)
def test_steps_give_the_bits_that_the_whole_computation_gives(channels: Any, scaled: bool, own: Layout) -> None:
    mean, std = zip(*channels, strict=True)
    pixels = Pixels(mean=mean, std=std, scaled=scaled, layout=own, own=own)
    every = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1), (256, 3, 3, 3))
    found: Any = every.astype(np.float32)
    for name, value in pixels.steps:
        found = found / value if name == "Div" else found - value
    assert found.tobytes() == pixels.normalized(every).tobytes()
    assert len(pixels.steps) <= 3
