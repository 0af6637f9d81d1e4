"""The folder of this package in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def user_folder(name: str, variable: str | None = None) -> Path:
    """Where something lies in the user's cache, or where a variable of the environment says that it lies.

    >>> import os; os.environ["EDGECOMPRESS_ARM_ROOT"] = "/opt/arm"
    >>> str(user_folder("arm-root", "EDGECOMPRESS_ARM_ROOT"))
    '/opt/arm'
    >>> del os.environ["EDGECOMPRESS_ARM_ROOT"]
    >>> user_folder("arm-root", "EDGECOMPRESS_ARM_ROOT").relative_to(Path.home()).as_posix()
    '.cache/edgecompress/arm-root'
    """
    named = os.environ.get(variable) if variable else None
    return Path(named).absolute() if named else Path.home() / ".cache" / "edgecompress" / name
