"""A folder for each class, called as the class is, with its pictures."""

from __future__ import annotations

from pathlib import Path

from edgecompress.loading.folders.folder import IMAGES, Folder, Sample, entries_of, pictures_in

LOOKED_FOR = "a folder of pictures for each class"


def is_there(folder: Path) -> bool:
    """Whether a folder in it has pictures; where one is called ``images``, the others are no classes."""
    return not (folder / IMAGES).is_dir() and any(pictures_in(path) for path in _classes(folder))


def read(folder: Path) -> Folder:
    """The first picture of each class, then the second of each, and so on: any few of them are of many classes."""
    classes = _classes(folder)
    placed = [(place, path) for part in classes for place, path in enumerate(pictures_in(part))]
    placed.sort(key=lambda item: (item[0], item[1].parent.name))
    return Folder(
        path=folder,
        samples=tuple(Sample(picture=path, told_in=path.parent, label=path.parent.name) for _, path in placed),
        names=tuple(path.name for path in classes),
    )


def _classes(folder: Path) -> list[Path]:
    return [path for path in entries_of(folder) if path.is_dir()]
