"""What a folder of pictures holds: samples, each with the target of its kind, and the names of the classes.

A kind of folder is a file of ``kinds/`` with

- ``LOOKED_FOR``: what has to lie in a folder of the kind, in a few words;
- ``is_there(folder)``: whether it does;
- ``read(folder)``: what is in it. A fault of the files is a ``DataError`` that names sample and file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgecompress.arrays import Array
from edgecompress.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Of files that count as pictures where nothing names them."""
IMAGES = "images"
"""The folder of the pictures, where another one next to it has what belongs to them."""
MOST_DIGITS = 9
"""Of an index."""
Label = str | int
"""A class by its name, or by its index."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnBoxes:
    """The boxes of a picture.

    Attributes:
        corners: (boxes, 4) float64, left, top, right, bottom, as shares of the picture's width and height.
        labels: of each box.
        crowds: which are around many, (boxes,) int64; None where that is not known.
        size: height and width in pixels of the picture on which they were drawn; None where any will do.
    """

    corners: Array
    labels: tuple[Label, ...]
    crowds: Array | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture with its target, if any: a class, a mask, or boxes.

    Attributes:
        picture: its file.
        told_in: the file that has its target, for messages.
    """

    picture: Path
    told_in: Path
    label: Label | None = None
    mask: Path | None = None
    boxes: DrawnBoxes | None = None

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes that its target names."""
        if self.boxes is not None:
            return self.boxes.labels
        return () if self.label is None else (self.label,)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The samples of a folder in the order in which they are read, and the names of the classes in theirs."""

    path: Path
    samples: tuple[Sample, ...]
    names: tuple[str, ...] = ()

    @property
    def has_boxes(self) -> bool:
        """Whether targets are boxes."""
        return any(sample.boxes is not None for sample in self.samples)

    @property
    def has_places(self) -> bool:
        """Whether targets lie somewhere in their picture."""
        return any(sample.boxes is not None or sample.mask is not None for sample in self.samples)


class FolderKind(Protocol):
    """A file of ``kinds/``."""

    LOOKED_FOR: str

    def is_there(self, folder: Path, /) -> bool:
        """Whether the folder is of the kind."""

    def read(self, folder: Path, /) -> Folder:
        """What is in it."""


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that are pictures by their names, sorted."""
    return [path for path in entries_of(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]


def entries_of(folder: Path) -> list[Path]:
    """Files and folders in a folder, sorted by name, without those that systems leave there."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]
    return sorted(found, key=lambda path: path.name)


def has_file(path: Path) -> bool:
    """Whether there is a file of a name that somebody wrote down, which may be one that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def twin(folder: Path, other: str) -> tuple[Path, Path] | None:
    """Where pictures lie, and what belongs to them; None where there are no two such folders.

    They are ``folder/images`` and ``folder/OTHER``; or the folder itself, where it is, or lies in, a folder
    ``images``, and what lies in the same way in ``OTHER``: ``images/val`` and ``OTHER/val``.
    """
    inner = folder / IMAGES, folder / other
    if all(path.is_dir() for path in inner):
        return inner
    parts = folder.resolve().parts
    places = [place for place, part in enumerate(parts) if part == IMAGES]
    beyond = [Path(*parts[:place], other, *parts[place + 1 :]) for place in reversed(places)]
    return next(((folder, path) for path in beyond if path.is_dir()), None)


def matched(pictures: Path, others: Sequence[Path], called: str, fix: str) -> list[tuple[Path, Path]]:
    """Each picture of a folder with the file of the same name, whatever the suffix.

    Raises:
        DataError: there are no pictures, a picture has no such file, or several.
    """
    by_name: dict[str, list[Path]] = {}
    for path in others:
        by_name.setdefault(path.stem, []).append(path)
    pairs = []
    for picture in pictures_in(pictures):
        found = by_name.get(picture.stem, [])
        if not found:
            raise DataError(f"picture {str(picture)!r} has no {called}; {fix}")
        if len(found) > 1:
            raise DataError(
                f"picture {str(picture)!r} has the {called}s {found[0].name!r} and {found[1].name!r}; keep one"
            )
        pairs.append((picture, found[0]))
    return pairs


def index_of(text: str) -> int | None:
    """The index that a text is; None where it is none.

    >>> index_of("7"), index_of("cat"), index_of("-1")
    (7, None, None)
    """
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def read_text(path: Path) -> str:
    """The text of a file that goes with pictures.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{str(path)!r} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}; check its permissions") from None
