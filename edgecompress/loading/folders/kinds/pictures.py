"""Pictures without targets, which lie in the folder itself."""

from __future__ import annotations

from pathlib import Path

from edgecompress.loading.folders.folder import Folder, Sample, pictures_in

LOOKED_FOR = "pictures"


def is_there(folder: Path) -> bool:
    """Whether there is one."""
    return bool(pictures_in(folder))


def read(folder: Path) -> Folder:
    """All of them, by name."""
    return Folder(path=folder, samples=tuple(Sample(picture=path, told_in=folder) for path in pictures_in(folder)))
