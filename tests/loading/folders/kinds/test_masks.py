"""Masks with the names of their pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.loading.folders.kinds import masks
from tests.drawn_folders import draw, draw_mask, told


@pytest.mark.parametrize(
    ("given", "pictures", "drawn"),
    [
        (".", "images", "masks"),
        ("images", "images", "masks"),
        ("images/val", "images/val", "masks/val"),
    ],
)
def test_a_mask_has_the_name_of_its_picture(tmp_path: Path, given: str, pictures: str, drawn: str) -> None:
    for name in ("b", "a"):
        draw(tmp_path / pictures / f"{name}.jpg")
        draw_mask(tmp_path / drawn / f"{name}.png", [[0]])
    draw(tmp_path / drawn / "a.jpg")  # of another format: no mask
    folder = tmp_path / given
    assert masks.is_there(folder)
    pairs = [(sample.picture.name, sample.mask) for sample in masks.read(folder).samples]
    assert pairs == [(f"{name}.jpg", (tmp_path / drawn / f"{name}.png").resolve()) for name in ("a", "b")]


def test_a_picture_without_a_mask_is_named(tmp_path: Path) -> None:
    picture = str(draw(tmp_path / "images" / "a.png"))
    (tmp_path / "masks").mkdir()
    folder = str(tmp_path / "masks")
    assert told(lambda: masks.read(tmp_path)) == (
        f"picture {picture!r} has no mask; put a PNG of the same name into {folder!r}, or take the picture out"
    )


def test_two_masks_of_a_picture_are_named(tmp_path: Path) -> None:
    picture = str(draw(tmp_path / "images" / "a.png"))
    for suffix in ("png", "bmp"):
        draw_mask(tmp_path / "masks" / f"a.{suffix}", [[0]])
    assert told(lambda: masks.read(tmp_path)) == (f"picture {picture!r} has the masks 'a.bmp' and 'a.png'; keep one")


def test_a_folder_without_masks(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png")
    folder = str(tmp_path)
    assert not masks.is_there(tmp_path)
    assert told(lambda: masks.read(tmp_path)) == (
        f"folder {folder!r} has no images/ and masks/; put the pictures and their masks there"
    )
