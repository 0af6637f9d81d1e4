"""COCO's instances: numbers become contiguous, boxes shares; what is wrong is named with picture and file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecompress.loading.folders.kinds import coco as kind
from tests.drawn_folders import coco, draw, told, write, write_json

SIZES = {"b.png": (10, 20), "a.png": (8, 8)}
BOXES: list[tuple[int, int, list[float]]] = [(1, 7, [2, 1, 10, 5]), (2, 3, [0, 0, 8, 8]), (1, 3, [5.5, 0.5, 1.5, 2])]
DOCUMENT = coco(SIZES, BOXES, person=7, zebra=3, cat=90)


def _folder(folder: Path, document: Any = DOCUMENT, name: str = "instances.json") -> Path:
    for picture, size in SIZES.items():
        draw(folder / picture, size)
    write_json(folder / name, document)
    return folder


def _changed(part: str, place: int, **values: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document[part][place].update(values)
    return document


def test_labels_keep_their_names_in_the_order_of_the_numbers_and_boxes_are_shares(tmp_path: Path) -> None:
    document = _changed("annotations", 2, iscrowd=1)
    folder = kind.read(_folder(tmp_path, document))
    assert folder.names == ("zebra", "person", "cat")
    first, second = folder.samples
    assert [sample.picture.name for sample in folder.samples] == ["a.png", "b.png"]
    assert first.boxes is not None
    assert second.boxes is not None
    assert first.boxes.corners.tolist() == [[0, 0, 1, 1]]
    assert second.boxes.labels == ("person", "zebra")
    pixels = second.boxes.corners * np.array([20, 10, 20, 10])
    assert np.allclose(pixels, np.array([[2, 1, 12, 6], [5.5, 0.5, 7, 2.5]]), atol=1e-12)
    assert second.boxes.crowds is not None
    assert second.boxes.crowds.tolist() == [0, 1]
    assert second.boxes.size == (10, 20)


def test_a_picture_without_boxes_is_a_sample(tmp_path: Path) -> None:
    folder = kind.read(_folder(tmp_path, coco(SIZES, [], cat=1)))
    assert [sample.boxes is not None and sample.boxes.corners.shape for sample in folder.samples] == [(0, 4), (0, 4)]


@pytest.mark.parametrize(
    ("pictures", "file", "given"),
    [
        (".", "_annotations.coco.json", "."),
        (".", "annotations/instances_val.json", "."),
        ("images", "annotations.json", "."),
        ("val", "annotations/instances_val.json", "."),
        ("val", "annotations/instances_val.json", "val"),
        ("val", "val.json", "val"),
        ("val", "instances_val.json", "val"),
    ],
)
def test_the_file_lies_in_the_folder_or_next_to_it(tmp_path: Path, pictures: str, file: str, given: str) -> None:
    write_json(tmp_path / file, DOCUMENT)
    write_json(tmp_path / given / "settings.json", {"lr": 0.1})  # says nothing of pictures
    if file.startswith("annotations/"):
        write_json(tmp_path / "annotations" / "captions_val.json", DOCUMENT)
    for name, size in SIZES.items():
        draw(tmp_path / pictures / name, size)
    assert kind.is_there(tmp_path / given)
    assert [sample.picture.name for sample in kind.read(tmp_path / given).samples] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (
            _changed("images", 0, file_name="c.png"),
            " names the picture 'c.png', not in {folder!r}; put it there, or take it and its boxes out of the file",
        ),
        (
            _changed("annotations", 1, category_id=4),
            ": annotation 2 of 'a.png' has the unknown category 4; add it to the categories, or take the box out",
        ),
        (
            _changed("annotations", 1, image_id=9),
            ": annotation 2 is of image 9, which is not listed; add it, or take the box out",
        ),
        (
            _changed("annotations", 0, bbox=[2, 1, 30, 5]),
            ": annotation 1 of 'b.png' has the box [2, 1, 30, 5], which lies outside of its 20 x 10 pixels; repair it,"
            " or take it out",
        ),
        (
            _changed("annotations", 0, bbox=[2, float("nan"), 3, 5]),
            ": annotation 1 of 'b.png' has the box [2, nan, 3, 5], which lies outside of its 20 x 10 pixels; repair it,"
            " or take it out",
        ),
        (
            _changed("annotations", 0, bbox=[2, 1, -1, 5]),
            ": annotation 1 of 'b.png' has the box [2, 1, -1, 5], which lies outside of its 20 x 10 pixels; repair it,"
            " or take it out",
        ),
        (
            _changed("annotations", 0, bbox=[2, 1, 3]),
            ": annotation 1 of 'b.png' has the box [2, 1, 3]; give left, top, width and height in pixels",
        ),
        (
            _changed("annotations", 0, bbox=None),
            ": annotation 1 of 'b.png' has the box None; give left, top, width and height in pixels",
        ),
        (
            _changed("images", 0, width=0),
            ': {{"id": 1, "file_name": "b.png", "height": 10, "width": 0}} is of no size; give the picture\'s'
            " height and width in pixels",
        ),
        (
            _changed("images", 0, width=None),
            ': \'width\' is None in {{"id": 1, "file_name": "b.png", "height": 10, "width": null}}; give'
            " a whole number",
        ),
        (_changed("categories", 0, name=""), ': \'name\' is \'\' in {{"id": 7, "name": ""}}; give a text'),
        (_changed("images", 1, id=1), " has the id 1 twice in 'images'; give each entry its own"),
        (_changed("categories", 1, id=7), " has the id 7 twice in 'categories'; give each entry its own"),
        ({**DOCUMENT, "images": ["a.png"]}, ": 'a.png' is no entry of 'images'; give an object for each"),
        (
            {**DOCUMENT, "annotations": None},
            " has no lists of images, annotations and categories; write COCO instances there",
        ),
    ],
)
def test_a_fault_names_its_entry_its_picture_and_the_file(tmp_path: Path, document: Any, fault: str) -> None:
    folder = _folder(tmp_path, document)
    file, place = str(folder / "instances.json"), str(folder)
    said = told(lambda: kind.read(folder))
    assert said == f"{file!r}{fault.format(folder=place)}"


@pytest.mark.parametrize("text", ['{"images": [', '"images"', "[" * 100_000 + '"images"'])
def test_what_is_no_json_is_told(tmp_path: Path, text: str) -> None:
    file = str(write(tmp_path / "instances.json", text))
    assert told(lambda: kind.read(tmp_path)) in (
        f"{file!r} is no JSON; write COCO instances there",
        f"{file!r} has no lists of images, annotations and categories; write COCO instances there",
    )


def test_several_files_and_none_are_told(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert told(lambda: kind.read(tmp_path)) == (
        f"folder {folder!r} has no JSON file of COCO instances; put it there, or next to it"
    )
    for name in ("instances_train.json", "instances_val.json"):
        _folder(tmp_path, name=name)
    assert told(lambda: kind.read(tmp_path)) == (
        f"folder {folder!r} has the instances 'instances_train.json' and 'instances_val.json'; name the folder of the"
        " pictures of one"
    )
