"""Which kind a folder is of shows in what lies there, or the recipe says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgecompress.loading.folders.recognition import KINDS, read_folder, recognized
from edgecompress.recipe.samples import Samples
from tests.drawn_folders import coco, draw, draw_mask, told, write, write_json


def _classes(folder: Path) -> None:
    draw(folder / "cat" / "1.png")


def _labels(folder: Path) -> None:
    draw(folder / "1.png")
    write(folder / "labels.csv", "1.png,0\n")


def _masks(folder: Path) -> None:
    draw(folder / "images" / "1.png", (1, 1))
    draw_mask(folder / "masks" / "1.png", [[0]])


def _coco(folder: Path) -> None:
    draw(folder / "1.png")
    write_json(folder / "instances.json", coco({"1.png": (8, 8)}, [], cat=1))


def _yolo(folder: Path) -> None:
    draw(folder / "images" / "1.png")
    write(folder / "labels" / "1.txt", "")


def _pictures(folder: Path) -> None:
    draw(folder / "1.png")


DRAWN: dict[str, Callable[[Path], None]] = {
    "classes": _classes,
    "labels": _labels,
    "masks": _masks,
    "coco": _coco,
    "yolo": _yolo,
    "pictures": _pictures,
}


@pytest.mark.parametrize("kind", DRAWN)
def test_each_kind_is_recognized(tmp_path: Path, kind: str) -> None:
    DRAWN[kind](tmp_path)
    assert recognized(tmp_path, "evaluation") == kind
    assert len(read_folder(tmp_path, "evaluation").samples) == 1


def test_the_recipe_knows_every_kind() -> None:
    asked = Samples.model_json_schema()["properties"]["folder"]["anyOf"][0]["enum"]
    assert sorted(asked) == sorted(KINDS) == sorted(DRAWN)


@pytest.mark.parametrize(
    ("first", "second"),
    [("labels", "coco"), ("masks", "yolo"), ("labels", "masks"), ("classes", "pictures")],
)
def test_what_is_of_two_kinds_is_refused_unless_the_recipe_says_which(tmp_path: Path, first: str, second: str) -> None:
    for kind in (first, second):
        DRAWN[kind](tmp_path)
    folder = str(tmp_path)
    assert told(lambda: read_folder(tmp_path, "train")) == (
        f"the train folder {folder!r} can be read as {first} and as {second}; say which (data.folder={first})"
    )
    for kind in (first, second):
        found, wanted = read_folder(tmp_path, "train", kind), KINDS[kind].read(tmp_path)
        assert [sample.told_in for sample in found.samples] == [sample.told_in for sample in wanted.samples]


def test_what_is_of_no_kind_is_told_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "readme.txt", "")
    folder = str(tmp_path)
    assert told(lambda: read_folder(tmp_path, "evaluation")) == (
        f"the evaluation folder {folder!r} has none of these: labels.csv, images/ and masks/, a JSON file of COCO"
        " instances, images/ and labels/, a folder of pictures for each class, pictures; put a folder of pictures for"
        " each class there, or pictures with labels.csv, or name another folder"
    )


def test_an_empty_folder_is_told_what_it_needs(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert told(lambda: read_folder(tmp_path, "calibration")) == (
        f"the calibration folder {folder!r} is empty; put pictures there, such as .png or .jpg files, or name another"
        " folder"
    )
    assert told(lambda: read_folder(tmp_path, "train")) == (
        f"the train folder {folder!r} is empty; put a folder of pictures for each class there, or pictures with"
        " labels.csv, or name another folder"
    )


def test_a_kind_that_is_asked_for_and_not_there(tmp_path: Path) -> None:
    _pictures(tmp_path)
    assert "has no labels.csv" in told(lambda: read_folder(tmp_path, "evaluation", "labels"))
    assert read_folder(tmp_path, "calibration", "labels").samples[0].labels == ()


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    folder = str(tmp_path)
    assert told(lambda: read_folder(tmp_path, "train")) == (
        f"the train folder {folder!r} holds no pictures; put some there, or name another folder"
    )
