"""Pictures with ``labels.csv``: a line with file and label for each; the label is a class's index, or its name."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from edgecompress.errors import DataError
from edgecompress.loading.folders.folder import SUFFIXES, Folder, Label, Sample, has_file, index_of, read_text

TABLE = "labels.csv"
LOOKED_FOR = TABLE
FILE_COLUMNS, LABEL_COLUMNS = ("file", "filename", "image", "path"), ("label", "class")
"""What a header may call the two; without one they are the first and the second column."""
Row = tuple[int, list[str]]


def is_there(folder: Path) -> bool:
    """Whether there is such a table."""
    return (folder / TABLE).is_file()


def read(folder: Path) -> Folder:
    """The pictures in the order of the lines.

    Raises:
        DataError: there is no table, a line of it is none, a picture is not there, or labels are partly names.
    """
    table = folder / TABLE
    if not table.is_file():
        raise DataError(f"folder {str(folder)!r} has no labels.csv; write one line 'image,label' for each image")
    labelled = _labelled(_rows(table), table)
    if absent := next((file for file, _ in labelled if not has_file(folder / file)), None):
        raise DataError(
            f"{str(table)!r} names the picture {absent!r}, which is not there; put it there, or take it out"
        )
    names = sorted({label for _, label in labelled if isinstance(label, str)})
    samples = tuple(Sample(picture=folder / file, told_in=table, label=label) for file, label in labelled)
    return Folder(path=folder, samples=samples, names=tuple(names))


def _rows(table: Path) -> list[Row]:
    """Lines that are not empty, with their numbers."""
    try:
        return [
            (number, fields) for number, fields in enumerate(csv.reader(io.StringIO(read_text(table))), 1) if fields
        ]
    except csv.Error as error:
        raise DataError(f"{str(table)!r} is no table: {error}; write 'image,label' on each line") from None


def _labelled(rows: Sequence[Row], table: Path) -> list[tuple[str, Label]]:
    file, label = 0, 1
    if rows and _is_header(rows[0][1]):
        file, label = _columns(rows[0][1], table)
        rows = rows[1:]
    texts = [(number, *_fields(fields, file, label, number, table)) for number, fields in rows]
    indices = [index_of(text) for _, _, text in texts]
    if None in indices and indices.count(None) < len(indices):
        number, _, text = texts[indices.index(None)]
        raise DataError(
            f"{str(table)!r} line {number} has the label {text!r}, where others have numbers; give all as class indices"
            " from 0, or all as names"
        )
    return [(path, text if index is None else index) for (_, path, text), index in zip(texts, indices, strict=True)]


def _is_header(fields: Sequence[str]) -> bool:
    """A line whose first field is no picture, and whose second is no index."""
    is_index = len(fields) > 1 and index_of(fields[1].strip()) is not None
    return not is_index and Path(fields[0].strip()).suffix.lower() not in SUFFIXES


def _columns(header: Sequence[str], table: Path) -> tuple[int, int]:
    """Where a header has the file and the label."""
    known = [field.strip().lower() for field in header]
    found = []
    for wanted in (FILE_COLUMNS, LABEL_COLUMNS):
        places = [known.index(name) for name in wanted if name in known]
        if not places:
            raise DataError(
                f"{str(table)!r} has no column {wanted[0]!r}: its first line is {','.join(header)!r}; write"
                " 'file,label' there"
            )
        found.append(places[0])
    return found[0], found[1]


def _fields(fields: Sequence[str], file: int, label: int, number: int, table: Path) -> tuple[str, str]:
    texts = [fields[place].strip() if place < len(fields) else "" for place in (file, label)]
    if not all(texts):
        raise DataError(f"{str(table)!r} line {number} is {','.join(fields)!r}; write 'image,label' there")
    return texts[0], texts[1]
