"""What processors say, in keys of the recipe: every form of size, crop and scale."""

from __future__ import annotations

from typing import Any

import pytest

from edgecompress.loading.pretrained.processors import images_of_processor, images_of_timm
from edgecompress.recipe.samples import Images

SQUARE = {"height": 224, "width": 192}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, {}),
        ({"size": 224}, {"size": (224, 224), "resize": "stretch"}),
        ({"size": SQUARE}, {"size": (224, 192), "resize": "stretch"}),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, {}),
        ({"size": {"shortest_edge": 256}}, {}),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224},
            {"size": (224, 224), "resize": "crop", "crop_share": 0.875},
        ),
        (
            {"size": {"height": 256, "width": 256}, "do_center_crop": True, "crop_size": SQUARE},
            {"size": (224, 192), "resize": "crop", "crop_share": 0.75},
        ),
        (
            {"do_resize": False, "do_center_crop": True, "crop_size": 224},
            {"size": (224, 224), "resize": "crop"},
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
            {"size": (224, 224), "resize": "crop", "crop_share": 0.875},
        ),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, {"size": (384, 384), "resize": "stretch"}),
        ({"do_flip_channel_order": True}, {"channels": "bgr"}),
    ],
)
def test_sizes_and_parts(said: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert images_of_processor(said) == wanted
    Images(**wanted)


@pytest.mark.parametrize(
    ("said", "scale", "shift"),
    [
        ({}, 1 / 255, 0.0),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, 1 / 127.5, 1.0),
        ({"do_rescale": False}, 1.0, 0.0),
    ],
)
@pytest.mark.parametrize("normalizes", [True, False])
def test_a_pixel_becomes_what_the_processor_makes_of_it(
    said: dict[str, Any], scale: float, shift: float, normalizes: bool
) -> None:
    mean, std = (0.5, 0.25) if normalizes else (0.0, 1.0)
    given = {**said, "do_normalize": normalizes, "image_mean": [0.5], "image_std": [0.25]}
    images = images_of_processor(given)
    for pixel in (0, 17, 255):
        ours = (pixel / 255 - images["mean"][0]) / images["std"][0]
        assert ours == pytest.approx((pixel * scale - shift - mean) / std, rel=1e-5, abs=1e-6)


def test_timm_configurations() -> None:
    said = {"input_size": (1, 28, 30), "crop_pct": 0.9, "crop_mode": "border", "mean": (0.5,), "std": (0.5,)}
    assert images_of_timm(said) == {"size": (28, 30), "mean": (0.5,), "std": (0.5,), "channels": "gray"}
