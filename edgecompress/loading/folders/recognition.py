"""Which kind of folder a folder is: the recipe says so, or it shows in what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecompress.errors import DataError
from edgecompress.loading.folders.folder import Folder, FolderKind
from edgecompress.loading.folders.kinds import classes, coco, labels, masks, pictures, yolo

LISTED: Mapping[str, FolderKind] = {"labels": labels, "masks": masks, "coco": coco, "yolo": yolo}
"""Kinds that show in a file, or in the names of folders."""
BY_PICTURES: Mapping[str, FolderKind] = {"classes": classes, "pictures": pictures}
"""Kinds that show in where pictures are, where nothing else lies there."""
KINDS = {**LISTED, **BY_PICTURES}
NEEDED = {"calibration": "put pictures there, such as .png or .jpg files, or name another folder"}
"""By what data is for: what the folder needs."""
WITH_TARGETS = "put a folder of pictures for each class there, or pictures with labels.csv, or name another folder"


def read_folder(folder: Path, role: str, kind: str | None = None) -> Folder:
    """What is in a folder.

    Args:
        folder: that is there.
        role: what the data is for, as messages call it; for calibration no targets are needed.
        kind: what the recipe calls it; None where it has to show.

    Raises:
        DataError: it is of no kind, of several, or a file in it has a fault.
    """
    if kind is None or (role == "calibration" and not KINDS[kind].is_there(folder)):
        kind = recognized(folder, role)
    found = KINDS[kind].read(folder)
    if not found.samples:
        raise DataError(f"the {role} folder {str(folder)!r} holds no pictures; put some there, or name another folder")
    return found


def recognized(folder: Path, role: str) -> str:
    """The kind that shows.

    Raises:
        DataError: it is none, or several.
    """
    for kinds in (LISTED, BY_PICTURES):
        found = [name for name, kind in kinds.items() if kind.is_there(folder)]
        if len(found) > 1:
            raise DataError(
                f"the {role} folder {str(folder)!r} can be read as {' and as '.join(found)}; say which"
                f" (data.folder={found[0]})"
            )
        if found:
            return found[0]
    if not any(folder.iterdir()):
        raise DataError(f"the {role} folder {str(folder)!r} is empty; {NEEDED.get(role, WITH_TARGETS)}")
    wanted = ", ".join(kind.LOOKED_FOR for kind in KINDS.values())
    raise DataError(f"the {role} folder {str(folder)!r} has none of these: {wanted}; {NEEDED.get(role, WITH_TARGETS)}")
