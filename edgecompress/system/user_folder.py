"""The folder of this package in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from edgecompress.errors import InputError


def user_folder(name: str, variable: str | None = None) -> Path:
    """Where something lies in the user's cache, or where a variable of the environment says that it lies.

    Raises:
        InputError: the user has no home folder, and no variable names another one.

    >>> import os; os.environ["EDGECOMPRESS_ARM_ROOT"] = "/opt/arm"
    >>> str(user_folder("arm-root", "EDGECOMPRESS_ARM_ROOT"))
    '/opt/arm'
    >>> del os.environ["EDGECOMPRESS_ARM_ROOT"]
    >>> user_folder("arm-root", "EDGECOMPRESS_ARM_ROOT").relative_to(Path.home()).as_posix()
    '.cache/edgecompress/arm-root'
    """
    named = os.environ.get(variable) if variable else None
    if named:
        return Path(named).absolute()
    try:
        home = Path.home()
    except RuntimeError:  # a user without an entry in the system's table, as in many containers
        raise InputError(
            f"there is no home folder for the user's cache; set {variable or 'HOME'} to a folder"
        ) from None
    return home / ".cache" / "edgecompress" / name
