"""``labels.csv``: with and without a header, indices and names, and what is wrong in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.loading.folders.folder import Label
from edgecompress.loading.folders.kinds import labels
from tests.drawn_folders import told


def _read(folder: Path, table: str) -> list[tuple[str, Label | None]]:
    (folder / "labels.csv").write_text(table)
    for name in "ab":
        (folder / f"{name}.png").touch()
    return [(sample.picture.name, sample.label) for sample in labels.read(folder).samples]


@pytest.mark.parametrize(
    ("table", "label"),
    [
        ("a.png,3\n", 3),
        ("image,label\na.png,3\n", 3),
        ("\ufefffile,label\na.png,3\n", 3),
        ("id,Class,note,FileName\n7,3,x,a.png\n", 3),
        ("a.png,cat\n", "cat"),
        ("file,class\n\na.png , cat \n", "cat"),
        ('"a.png","cat, big"\n', "cat, big"),
    ],
)
def test_a_line_names_a_file_and_its_label(tmp_path: Path, table: str, label: Label) -> None:
    assert _read(tmp_path, table) == [("a.png", label)]


def test_names_are_classes_in_their_order_and_samples_keep_the_order_of_the_lines(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "labels.csv").write_text("b.png,owl\na.png,cat\nc.png,owl\n")
    folder = labels.read(tmp_path)
    assert folder.names == ("cat", "owl")
    assert [sample.picture.name for sample in folder.samples] == ["b.png", "a.png", "c.png"]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("a.png,1\nb.png\n", " line 2 is 'b.png'; write 'image,label' there"),
        ("a.png\n", " line 1 is 'a.png'; write 'image,label' there"),
        ("a.png,1\n,2\n", " line 2 is ',2'; write 'image,label' there"),
        (
            "image,kind\na.png,1\n",
            " has no column 'label': its first line is 'image,kind'; write 'file,label' there",
        ),
        ("name,label\na.png,1\n", " has no column 'file': its first line is 'name,label'; write 'file,label' there"),
        ("a.png,1\nc.png,2\n", " names the picture 'c.png', which is not there; put it there, or take it out"),
        (
            "a.png,1\nb.png,cat\n",
            " line 2 has the label 'cat', where others have numbers; give all as class indices from 0, or all as names",
        ),
    ],
)
def test_a_fault_names_its_line(tmp_path: Path, table: str, fault: str) -> None:
    file = str(tmp_path / "labels.csv")
    assert told(lambda: _read(tmp_path, table)) == f"{file!r}{fault}"


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    file = str(tmp_path / "labels.csv")
    field = "x" * 200_000  # longer than the csv module takes
    assert told(lambda: _read(tmp_path, field)) == (
        f"{file!r} is no table: field larger than field limit (131072); write 'image,label' on each line"
    )


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert told(lambda: labels.read(tmp_path)) == (
        f"folder {folder!r} has no labels.csv; write one line 'image,label' for each image"
    )
