"""Pictures in ``images`` with texts of the same names in ``labels``, a line ``class x y width height`` for each box.

The center and the size are shares of the picture. ``classes.txt``, next to them or in ``labels``, names the classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecompress.errors import DataError
from edgecompress.loading.folders.folder import (
    DrawnBoxes,
    Folder,
    Sample,
    entries_of,
    index_of,
    matched,
    read_text,
    twin,
)

LABELS, NAMES = "labels", "classes.txt"
LOOKED_FOR = "images/ and labels/"
ROUNDED = 0.005
"""By how much of the picture a box may reach outside of it, as one that was written with few digits does."""


def is_there(folder: Path) -> bool:
    """Whether there are two such folders."""
    return twin(folder, LABELS) is not None


def read(folder: Path) -> Folder:
    """The pictures by name.

    Raises:
        DataError: there are no two such folders, a picture has no text, or a line of one is no box in the picture.
    """
    places = twin(folder, LABELS)
    if places is None:
        raise DataError(f"folder {str(folder)!r} has no images/ and labels/; put the pictures and their texts there")
    pictures, labels = places
    files = [path for path in entries_of(labels) if path.suffix == ".txt" and path.name != NAMES]
    fix = f"write one of the same name into {str(labels)!r}, empty where the picture shows nothing"
    samples = [
        Sample(picture=picture, told_in=text, boxes=_boxes(text))
        for picture, text in matched(pictures, files, "text of labels", fix)
    ]
    listed = next((path for path in (labels / NAMES, labels.parent / NAMES) if path.is_file()), None)
    names = () if listed is None else tuple(line.strip() for line in read_text(listed).splitlines() if line.strip())
    return Folder(path=folder, samples=tuple(samples), names=names)


def _boxes(text: Path) -> DrawnBoxes:
    lines = [(number, line.split()) for number, line in enumerate(read_text(text).splitlines(), 1) if line.strip()]
    boxes = [_box(fields, f"{str(text)!r} line {number}") for number, fields in lines]
    corners = np.array([corners for _, corners in boxes], np.float64).reshape(-1, 4)
    return DrawnBoxes(corners=corners, labels=tuple(label for label, _ in boxes))


def _box(fields: list[str], where: str) -> tuple[int, tuple[float, float, float, float]]:
    try:
        x, y, width, height = map(float, fields[1:])
        label = index_of(fields[0])
    except ValueError:  # too few, too many, or no numbers
        label = None
    if label is None:
        raise DataError(f"{where} is {' '.join(fields)!r}; write 'class x y width height', the class an index from 0")
    corners = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if width < 0 or height < 0 or not all(-ROUNDED <= corner <= 1 + ROUNDED for corner in corners):
        raise DataError(f"{where}: the box {' '.join(fields[1:])} lies outside of the picture; give shares of its size")
    return label, corners
