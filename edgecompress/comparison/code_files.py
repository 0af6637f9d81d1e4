"""Which files hold the code of a user: that of an object, and all that is loaded or lies below a folder."""

from __future__ import annotations

import functools
import json
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edgecompress
from edgecompress.bundle.manifest import MANIFEST
from edgecompress.bundle.selftest_file import SELFTEST

OURS = str(Path(edgecompress.__file__).parent)
INSTALLED = ("site-packages", "dist-packages")
STANDARD = ("stdlib", "platstdlib", "purelib", "platlib")
"""Names of ``sysconfig`` for folders whose code has a version."""
OF_AN_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
"""What lies in a folder of installed packages, whatever it is called."""
NO_CODE = (*INSTALLED, "__pycache__", "node_modules")


def file_of(name: str | None, given: Any = None) -> Path | None:
    """The file of what was handed over, or else of what a recipe names.

    Args:
        name: ``file.py:callable`` or ``module:callable``, or a name of the package's own.
        given: an object, a function or a class; None, or a text, where ``name`` says all.

    Returns:
        The file, absolute, be it there or not; None of what has none: names of the package's own, modules that are not
        loaded, and what was typed in.
    """
    if given is None or isinstance(given, str):
        place = (name or "").rpartition(":")[0]
        return Path(place).resolve() if place.endswith(".py") else module_file(place)
    while isinstance(given, functools.partial):
        given = given.func
    known = given if hasattr(given, "__module__") and hasattr(given, "__qualname__") else type(given)
    return module_file(str(known.__module__))


def module_file(name: str) -> Path | None:
    """The file of a loaded module; None where it is not loaded, or has none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if file is None else Path(file).resolve()


def loaded_files() -> set[Path]:
    """The files of all modules that are loaded, without those of Python, of installed packages and of this one."""
    named = {getattr(module, "__dict__", {}).get("__file__") for module in [*sys.modules.values()]}
    paths = (Path(file).absolute() for file in named if isinstance(file, str))
    files = (_on_disk(path) for path in paths if not is_installed(path))
    return {file for file in files if file is not None}


def files_below(folder: Path) -> Iterator[Path]:
    """All Python files in a folder and below it; hidden folders, links, environments and installed packages are not.

    Nor are the self-tests of bundles, which a run writes there itself. Of a folder of an installed package only those
    that lie in it.
    """
    if is_installed(folder):
        yield from sorted(folder.glob("*.py"))
        return
    for place, folders, files in os.walk(folder):
        if Path(place) != folder and any(each in (*folders, *files) for each in OF_AN_ENVIRONMENT):
            folders.clear()
            continue
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in NO_CODE)
        written = SELFTEST if MANIFEST in files and _is_bundle(Path(place) / MANIFEST) else None
        paths = (Path(place) / each for each in sorted(files) if each.endswith(".py") and each != written)
        yield from (path for path in paths if path.is_file())


def _is_bundle(manifest: Path) -> bool:
    """Whether a manifest is one of ours, which lists the self-test next to it."""
    try:
        return SELFTEST in json.loads(manifest.read_bytes())["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return False


def is_installed(path: Path) -> bool:
    """Whether a file or a folder belongs to Python, to an installed package, or to this package."""
    return any(part in INSTALLED for part in path.parts) or f"{path}{os.sep}".startswith(_roots())


@functools.cache
def _roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {OURS, *(paths[name] for name in STANDARD)}
    return tuple(sorted({f"{each}{os.sep}" for root in found for each in (root, os.path.realpath(root))}))


def _on_disk(path: Path) -> Path | None:
    """The file itself, or the archive that holds it."""
    return next((each.resolve() for each in (path, *path.parents) if each.is_file()), None)
