"""Pictures with a JSON file of COCO's instances, in the folder or next to it: boxes, and which are of crowds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.errors import DataError
from edgecompress.loading.folders.folder import DrawnBoxes, Folder, Sample, entries_of, has_file, read_text

ANNOTATIONS, INSTANCES = "annotations", "instances"
LOOKED_FOR = "a JSON file of COCO instances"
PARTS = ("images", "annotations", "categories")
MOST_PIXELS = 10**6
"""In height or width."""
PEEKED = 2**20
"""Characters of a JSON file in which one of the parts has to be named."""
ROUNDED = 1.0
"""By how many pixels a box may reach outside of its picture, as some of COCO's own do."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A picture of the file: its name there, height and width in pixels, and its boxes as they are added."""

    name: str
    size: tuple[int, int]
    corners: list[tuple[float, float, float, float]]
    labels: list[str]
    crowds: list[int]


def is_there(folder: Path) -> bool:
    """Whether there is such a file."""
    return bool(_files(folder))


def read(folder: Path) -> Folder:
    """The pictures in the order of their names; the classes in the order of the categories' numbers.

    Raises:
        DataError: there is no such file, or several; it is damaged, names a picture that is not there, or has a box
            of an unknown category, of an unknown picture, or outside of it.
    """
    files = _files(folder)
    if not files:
        raise DataError(f"folder {str(folder)!r} has no JSON file of COCO instances; put it there, or next to it")
    if len(files) > 1:
        raise DataError(
            f"folder {str(folder)!r} has the instances {files[0].name!r} and {files[1].name!r}; name the folder of the"
            " pictures of one"
        )
    file = files[0]
    document = _document(file)
    names = {number: _text(entry, "name", file) for number, entry in _numbered(document, "categories", file).items()}
    listed = {number: _picture(entry, file) for number, entry in _numbered(document, "images", file).items()}
    for entry in _entries(document, "annotations", file):
        _add_box(entry, listed, names, file)
    samples = [_sample(each, folder, file) for each in sorted(listed.values(), key=lambda each: each.name)]
    return Folder(path=folder, samples=tuple(samples), names=tuple(names[number] for number in sorted(names)))


def _files(folder: Path) -> list[Path]:
    """Those in the folder, else those next to it that are called as it is."""
    inside = [path for place in (folder, folder / ANNOTATIONS) for path in entries_of(place) if path.suffix == ".json"]
    whole = folder.resolve()
    called = (f"{whole.name}.json", f"{INSTANCES}_{whole.name}.json")
    outside = [place / name for place in (whole.parent, whole.parent / ANNOTATIONS) for name in called]
    found = list(filter(_names_a_part, inside)) or [path for path in outside if path.is_file()]
    return [path for path in found if path.name.startswith(INSTANCES)] or found


def _names_a_part(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            begin = file.read(PEEKED)
    except OSError:
        return False
    return any(f'"{part}"' in begin for part in PARTS)


def _document(file: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(read_text(file))
    except (ValueError, RecursionError):
        raise DataError(f"{str(file)!r} is no JSON; write COCO instances there") from None
    if not isinstance(document, Mapping) or any(not isinstance(document.get(part), list) for part in PARTS):
        raise DataError(f"{str(file)!r} has no lists of images, annotations and categories; write COCO instances there")
    return document


def _entries(document: Mapping[str, Any], part: str, file: Path) -> Iterator[Mapping[str, Any]]:
    for entry in document[part]:
        if not isinstance(entry, Mapping):
            raise DataError(f"{str(file)!r}: {entry!r} is no entry of {part!r}; give an object for each")
        yield entry


def _number(entry: Mapping[str, Any], key: str, file: Path) -> int:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{str(file)!r}: {key!r} is {value!r} in {_told(entry)}; give a whole number")
    return value


def _text(entry: Mapping[str, Any], key: str, file: Path) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise DataError(f"{str(file)!r}: {key!r} is {value!r} in {_told(entry)}; give a text")
    return value


def _told(entry: Mapping[str, Any]) -> str:
    """An entry, short enough for a line."""
    text = json.dumps(entry)
    return text if len(text) <= 120 else f"{text[:120]}..."


def _numbered(document: Mapping[str, Any], part: str, file: Path) -> dict[int, Mapping[str, Any]]:
    """The entries of a part by their numbers."""
    found: dict[int, Mapping[str, Any]] = {}
    for entry in _entries(document, part, file):
        number = _number(entry, "id", file)
        if number in found:
            raise DataError(f"{str(file)!r} has the id {number} twice in {part!r}; give each entry its own")
        found[number] = entry
    return found


def _picture(entry: Mapping[str, Any], file: Path) -> Listed:
    size = _number(entry, "height", file), _number(entry, "width", file)
    if min(size) < 1 or max(size) > MOST_PIXELS:
        raise DataError(f"{str(file)!r}: {_told(entry)} is of no size; give the picture's height and width in pixels")
    return Listed(name=_text(entry, "file_name", file), size=size, corners=[], labels=[], crowds=[])


def _add_box(entry: Mapping[str, Any], listed: Mapping[int, Listed], names: Mapping[int, str], file: Path) -> None:
    where = f"{str(file)!r}: annotation {entry.get('id')!r}"
    picture = listed.get(_number(entry, "image_id", file))
    if picture is None:
        raise DataError(f"{where} is of image {entry['image_id']}, which is not listed; add it, or take the box out")
    where += f" of {picture.name!r}"
    category = _number(entry, "category_id", file)
    if category not in names:
        raise DataError(f"{where} has the unknown category {category}; add it to the categories, or take the box out")
    picture.corners.append(_corners(entry.get("bbox"), picture, where))
    picture.labels.append(names[category])
    picture.crowds.append(int(bool(entry.get("iscrowd", 0))))


def _corners(box: Any, picture: Listed, where: str) -> tuple[float, float, float, float]:
    """As shares of the picture."""
    if not isinstance(box, list) or len(box) != 4 or any(type(value) not in (int, float) for value in box):
        raise DataError(f"{where} has the box {box!r}; give left, top, width and height in pixels")
    left, top, width, height = box
    rows, columns = picture.size
    across, down = (left, left + width), (top, top + height)
    inside = all(-ROUNDED <= x <= columns + ROUNDED for x in across) and all(
        -ROUNDED <= y <= rows + ROUNDED for y in down
    )
    if not inside or width < 0 or height < 0:
        raise DataError(
            f"{where} has the box {box}, which lies outside of its {columns} x {rows} pixels; repair it, or take it out"
        )
    return across[0] / columns, down[0] / rows, across[1] / columns, down[1] / rows


def _sample(listed: Listed, folder: Path, file: Path) -> Sample:
    places = (folder, folder / "images", folder / file.stem.removeprefix(f"{INSTANCES}_"))
    picture = next((place / listed.name for place in places if has_file(place / listed.name)), None)
    if picture is None:
        raise DataError(
            f"{str(file)!r} names the picture {listed.name!r}, not in {str(folder)!r}; put it there, or take it and"
            " its boxes out of the file"
        )
    boxes = DrawnBoxes(
        corners=np.array(listed.corners, np.float64).reshape(-1, 4),
        labels=tuple(listed.labels),
        crowds=np.array(listed.crowds, np.int64),
        size=listed.size,
    )
    return Sample(picture=picture, told_in=file, boxes=boxes)
