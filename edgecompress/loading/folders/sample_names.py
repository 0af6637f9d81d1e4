"""What the samples of DATA are called, where they are files of a folder."""

from __future__ import annotations

from pathlib import Path

from edgecompress.loading.folders.recognition import read_folder
from edgecompress.loading.folders.settling import is_folder
from edgecompress.loading.sources import Data
from edgecompress.recipe.tables import Recipe


def sample_names(data: Data, role: str, recipe: Recipe) -> tuple[str, ...]:
    """The pictures of a folder in the order in which they are read, each by its path in the folder.

    Args:
        data: in any form; only folders have names for their samples.
        role: what the data is for, as messages call it.
        recipe: says of what kind a folder is.

    Raises:
        DataError: the folder cannot be read.
    """
    if not is_folder(data):
        return ()
    folder = Path(str(data))
    found = read_folder(folder, role, recipe.data.folder)
    return tuple(_inside(sample.picture, folder) for sample in found.samples)


def _inside(picture: Path, folder: Path) -> str:
    return picture.relative_to(folder).as_posix() if picture.is_relative_to(folder) else str(picture)
