"""Pictures without targets."""

from __future__ import annotations

from pathlib import Path

from edgecompress.loading.folders.kinds import pictures
from tests.drawn_folders import draw, write


def test_pictures_are_sorted_whatever_else_lies_there(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "inner/c.png"):
        draw(tmp_path / name)
    write(tmp_path / "notes.txt", "")
    folder = pictures.read(tmp_path)
    assert [sample.picture.name for sample in folder.samples] == ["a.jpeg", "b.PNG"]
    assert [sample.labels for sample in folder.samples] == [(), ()]
