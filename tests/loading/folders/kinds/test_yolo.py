"""Texts of labels: centers and sizes as shares become corners, and what is no box is named with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.loading.folders.folder import DrawnBoxes
from edgecompress.loading.folders.kinds import yolo
from tests.drawn_folders import draw, told, write

SHARES = st.floats(0, 1)


def _boxes(folder: Path, text: str) -> DrawnBoxes:
    draw(folder / "images" / "a.png")
    write(folder / "labels" / "a.txt", text)
    (sample,) = yolo.read(folder).samples
    assert sample.boxes is not None
    return sample.boxes


@given(st.lists(st.tuples(st.integers(0, 90), SHARES, SHARES, SHARES, SHARES), max_size=4))
def test_corners_lie_half_a_size_from_the_center(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, float, float, float, float]]
) -> None:
    boxes = [(label, min(a, c), min(b, d), max(a, c), max(b, d)) for label, a, b, c, d in drawn]
    lines = [f"{n} {(l + r) / 2} {(t + b) / 2} {r - l} {b - t}\n" for n, l, t, r, b in boxes]  # noqa: E741
    found = _boxes(tmp_path_factory.mktemp("drawn"), "".join(lines))
    assert found.labels == tuple(label for label, *_ in boxes)
    assert np.allclose(found.corners, np.array([corners for _, *corners in boxes]).reshape(-1, 4), atol=1e-12)
    assert found.size is None
    assert found.crowds is None


@pytest.mark.parametrize("place", ["classes.txt", "labels/classes.txt"])
def test_names_of_the_classes_lie_next_to_the_texts(tmp_path: Path, place: str) -> None:
    write(tmp_path / place, "cat\nred fox\n\n")
    _boxes(tmp_path, "")
    assert yolo.read(tmp_path).names == ("cat", "red fox")


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5 0.5",
        "0 0.5 0.5 0.5 0.5 0.9",
        "0 0.5 0.5 wide 0.5",
        "-1 0.5 0.5 0.5 0.5",
        "0.0 0.5 0.5 0.5 0.5",
        "cat",
    ],
)
def test_a_line_that_is_no_box_is_named(tmp_path: Path, line: str) -> None:
    text = str(tmp_path / "labels" / "a.txt")
    assert told(lambda: _boxes(tmp_path, f"0 0.5 0.5 0.5 0.5\n\n{line}\n")) == (
        f"{text!r} line 3 is {line!r}; write 'class x y width height', the class an index from 0"
    )


@pytest.mark.parametrize(
    "box",
    ["0.5 0.5 1.1 0.5", "0.9 0.5 0.5 0.5", "240 320 100 50", "nan 0.5 0.5 0.5", "0.5 nan 0.5 0.5", "0.5 0.5 -0.1 1"],
)
def test_a_box_outside_of_its_picture_is_named(tmp_path: Path, box: str) -> None:
    text = str(tmp_path / "labels" / "a.txt")
    assert told(lambda: _boxes(tmp_path, f"2 {box}")) == (
        f"{text!r} line 1: the box {box} lies outside of the picture; give shares of its size"
    )


def test_a_picture_without_a_text_is_named(tmp_path: Path) -> None:
    picture = str(draw(tmp_path / "images" / "a.png"))
    write(tmp_path / "labels" / "b.txt", "")
    folder = str(tmp_path / "labels")
    assert told(lambda: yolo.read(tmp_path)) == (
        f"picture {picture!r} has no text of labels; write one of the same name into {folder!r}, empty where the"
        " picture shows nothing"
    )


def test_a_folder_without_texts(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert told(lambda: yolo.read(tmp_path)) == (
        f"folder {folder!r} has no images/ and labels/; put the pictures and their texts there"
    )


def test_a_text_that_is_not_utf_8_or_no_file(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png")
    text = tmp_path / "labels" / "a.txt"
    text.parent.mkdir()
    text.write_bytes(b"\xff")
    assert told(lambda: yolo.read(tmp_path)) == f"{str(text)!r} is not UTF-8 text; save it as UTF-8"
    text.unlink()
    text.mkdir()
    assert told(lambda: yolo.read(tmp_path)) == f"{str(text)!r} cannot be read: Is a directory; check its permissions"
