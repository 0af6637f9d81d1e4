"""What belongs together in a folder: twin folders, files of one name, and what does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.loading.folders.folder import entries_of, has_file, index_of, matched, pictures_in, twin
from tests.drawn_folders import draw, told, write


def test_twins_lie_in_the_folder_or_around_it(tmp_path: Path) -> None:
    for place in ("images/val/night", "masks/val/night", "images/test"):
        (tmp_path / place).mkdir(parents=True)
    assert twin(tmp_path, "masks") == (tmp_path / "images", tmp_path / "masks")
    for inner in ("images", "images/val", "images/val/night"):
        assert twin(tmp_path / inner, "masks") == (tmp_path / inner, tmp_path / inner.replace("images", "masks"))
    assert twin(tmp_path / "images" / "test", "masks") is None
    assert twin(tmp_path, "labels") is None


def test_the_innermost_folder_of_images_has_the_twin(tmp_path: Path) -> None:
    for place in ("images/set/images/val", "images/set/masks/val", "masks/set/images/val"):
        (tmp_path / place).mkdir(parents=True)
    pictures = tmp_path / "images" / "set" / "images" / "val"
    assert twin(pictures, "masks") == (pictures, tmp_path / "images" / "set" / "masks" / "val")


def test_files_of_one_name_belong_together_whatever_their_suffix(tmp_path: Path) -> None:
    pictures = [draw(tmp_path / f"{name}.png") for name in ("b", "a.1")]
    texts = [write(tmp_path / f"{name}.txt", "") for name in ("a.1", "b", "c")]
    assert matched(tmp_path, texts, "text", "write it") == [(pictures[1], texts[0]), (pictures[0], texts[1])]
    assert told(lambda: matched(tmp_path, texts[:1], "text", "write it")) == (
        f"picture {str(pictures[0])!r} has no text; write it"
    )


def test_entries_are_sorted_and_what_systems_leave_is_left_out(tmp_path: Path) -> None:
    for name in ("b.png", "B.png", "a.png", ".DS_Store", "__MACOSX", "notes.txt"):
        write(tmp_path / name, "")
    assert [path.name for path in entries_of(tmp_path)] == ["B.png", "a.png", "b.png", "notes.txt"]
    assert [path.name for path in pictures_in(tmp_path)] == ["B.png", "a.png", "b.png"]
    assert entries_of(tmp_path / "absent") == []


@pytest.mark.parametrize(("text", "index"), [("0", 0), ("007", 7), ("", None), ("1.0", None), ("9" * 20, None)])
def test_an_index_is_a_number_of_few_digits(text: str, index: int | None) -> None:
    assert index_of(text) == index


@pytest.mark.parametrize("name", ["absent.png", "x" * 5000, "a\0b", "folder", ""])
def test_no_file_has_a_name_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert not has_file(tmp_path / name)
    assert has_file(draw(tmp_path / "a.png"))
