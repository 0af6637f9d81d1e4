"""Pictures of every kind that Pillow writes are decoded to the same colors; masks keep their values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecompress.arrays import Array
from edgecompress.loading.folders import picture as reading
from edgecompress.loading.folders.picture import read_mask, read_picture
from tests.drawn_folders import draw, told

SHADES = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
ORIENTATION = 0x0112
TURNS: dict[int, Callable[[Array], Array]] = {
    1: lambda x: x,
    3: lambda x: np.rot90(x, 2),
    6: lambda x: np.rot90(x, -1),
    8: np.rot90,
    2: np.fliplr,
}
"""What a viewer does to the pixels for a value of the EXIF tag."""


def _saved(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def _values(path: Path, mode: str = "RGB") -> Array:
    return np.asarray(read_picture(path, mode))


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA", "I;16", "CMYK"])
def test_gray_is_gray_in_every_mode(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(SHADES.astype(np.uint16) << 8 | 77)
    else:
        image = Image.fromarray(SHADES).convert("RGB" if mode in ("CMYK", "RGBA") else "L").convert(mode)
    path = _saved(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), image)
    with Image.open(path) as opened:
        assert opened.mode == mode
    assert (_values(path) == SHADES[:, :, None]).all()
    assert (_values(path, "L") == SHADES).all()


def test_colors_of_palettes_and_under_transparency_are_those_of_the_file(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.info["transparency"] = 0
    assert _values(_saved(tmp_path / "p.png", palette)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    clear = Image.new("RGBA", (1, 1), (1, 2, 3, 0))
    assert _values(_saved(tmp_path / "a.png", clear)).tolist() == [[[1, 2, 3]]]


def test_bits_are_black_and_white(tmp_path: Path) -> None:
    bits = Image.fromarray(np.array([[False, True]]))
    assert _values(_saved(tmp_path / "b.png", bits), "L").tolist() == [[0, 255]]


@pytest.mark.parametrize("turn", TURNS)
def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path, turn: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    path = tmp_path / "a.png"
    Image.fromarray(SHADES).save(path, exif=exif)
    assert (_values(path, "L") == TURNS[turn](SHADES)).all()


def test_targets_that_were_drawn_on_its_pixels_keep_it_from_being_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path / "a.png"
    Image.fromarray(SHADES).save(path, exif=exif)
    assert read_picture(path, "L", SHADES.shape).size == (3, 2)
    assert read_picture(path, "L", (3, 2)).size == (2, 3)
    assert read_picture(path, "L", (9, 9)).size == (2, 3)


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "1"])
def test_a_mask_keeps_its_values(tmp_path: Path, mode: str) -> None:
    values = np.array([[0, 1], [1, 0]] if mode == "1" else [[0, 21], [255, 3]])
    if mode == "I;16":
        values[0, 0] = 999
        image = Image.fromarray(values.astype(np.uint16))
    elif mode == "P":
        image = Image.fromarray(values.astype(np.uint8), "P")
        image.putpalette([channel for index in range(256) for channel in (index, 255 - index, 0)])
    else:
        image = Image.fromarray(values.astype(bool if mode == "1" else np.uint8))
    mask = read_mask(_saved(tmp_path / "m.png", image))
    assert mask.dtype == np.int64
    assert mask.tolist() == values.tolist()


def test_a_mask_of_colors_is_refused(tmp_path: Path) -> None:
    path = draw(tmp_path / "m.png")
    assert told(lambda: read_mask(path)) == (
        f"mask {str(path)!r} has colors (RGB); save a gray or palette PNG with a class for each pixel"
    )


@pytest.mark.parametrize("called", ["image", "mask"])
def test_what_cannot_be_decoded_is_named(tmp_path: Path, called: str) -> None:
    path = draw(tmp_path / "a.png", (64, 64), (1, 2, 3))
    path.write_bytes(path.read_bytes()[:60])
    said = told(lambda: read_mask(path) if called == "mask" else read_picture(path, "RGB"))
    assert said.startswith(f"{called} {str(path)!r} cannot be read: ")
    assert said.endswith("; repair the file, or take it out")


def test_floats_and_wide_integers_are_refused(tmp_path: Path) -> None:
    for name, dtype, fault in (
        ("f.tif", np.float32, "it holds 32-bit floats"),
        ("i.tif", np.int32, "it has more than 16 bits"),
    ):
        path = _saved(tmp_path / name, Image.fromarray(np.full((2, 2), 70_000, dtype)))
        assert told(lambda path=path: read_picture(path, "RGB")) == (  # type: ignore[misc]
            f"image {str(path)!r} cannot be read: {fault}; repair the file, or take it out"
        )


def test_more_pixels_than_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PIXELS", 63)
    path = draw(tmp_path / "a.png")
    assert "it has 8 x 8 pixels, more than 63; repair" in told(lambda: read_picture(path, "RGB"))
