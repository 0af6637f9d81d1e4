"""Classes as folders: their names, and the order of the samples."""

from __future__ import annotations

from pathlib import Path

from edgecompress.loading.folders.kinds import classes
from tests.drawn_folders import draw, write


def test_classes_are_the_names_of_the_folders_and_pictures_alternate(tmp_path: Path) -> None:
    for name in ("dog/b.png", "dog/a.png", "cat/1.jpg", "owl/.hidden.png", ".git/x.png", "__MACOSX/y.png"):
        draw(tmp_path / name)
    write(tmp_path / "cat" / "notes.txt", "")
    folder = classes.read(tmp_path)
    assert classes.is_there(tmp_path)
    assert folder.names == ("cat", "dog", "owl")
    assert [sample.picture.relative_to(tmp_path).as_posix() for sample in folder.samples] == [
        "cat/1.jpg",
        "dog/a.png",
        "dog/b.png",
    ]
    assert [sample.label for sample in folder.samples] == ["cat", "dog", "dog"]


def test_a_folder_of_images_is_no_class(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png")
    draw(tmp_path / "mask" / "a.png")  # mistyped, not a class
    assert not classes.is_there(tmp_path)
