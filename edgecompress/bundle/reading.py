"""The bundle: a folder of files, read back with every hash checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecompress.bundle.manifest import MANIFEST, MAX_BYTES, SIGNATURE, FileEntry, Manifest, parse_manifest
from edgecompress.errors import OutputError
from edgecompress.recipe.arguments import path as checked_path
from edgecompress.recipe.wording import in_python_words
from edgecompress.validation.elsewhere.results import Elsewhere

ARTIFACT = "model.onnx"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder whose files are those of its manifest."""

    path: Path
    manifest: Manifest

    @property
    def artifact(self) -> Path:
        """The ONNX file that ships."""
        return self.path / ARTIFACT

    @property
    def passed(self) -> bool:
        """Whether every measured budget held when the bundle was written, beyond the noise of the machine."""
        return self.manifest.verdict.outcome == "pass"

    @property
    def elsewhere(self) -> Elsewhere:
        """What running at other places gave when the bundle was written."""
        manifest = self.manifest
        return Elsewhere(cpus=manifest.cpus, browser=manifest.browser, runtimes=manifest.runtimes)


@in_python_words
def read_bundle(path: str | Path | Bundle) -> Bundle:
    """Read a bundle, every byte of it checked against the manifest.

    Args:
        path: its folder, or a bundle that was read before, whose folder is read anew.

    Raises:
        OutputError: it is no bundle, or a file is missing, changed, or not of the bundle.
        RecipeError: it is no path.
    """
    folder = path.path if isinstance(path, Bundle) else checked_path("bundle", path)
    try:
        return _read(folder)
    except OSError as error:
        raise OutputError(f"bundle {str(folder)!r} cannot be read: {error.strerror}; make it readable") from error


def recorded_number(bundle: Bundle, *path: str | int) -> float | None:
    """A number of the manifest, which a stranger may have written; None where there is none.

    Raises:
        OutputError: something else stands there.
    """
    value: Any = bundle.manifest.metrics
    for key in path:
        inside = isinstance(value, dict) or (isinstance(value, list) and isinstance(key, int) and key < len(value))
        value = (value.get(key) if isinstance(value, dict) else value[key]) if inside else None
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        name = ".".join(("metrics", *map(str, path)))
        raise OutputError(f"bundle {str(bundle.path)!r}: {name!r} of its manifest is no number; compress again")
    return value


def _read(path: Path) -> Bundle:
    if not path.exists():
        raise OutputError(f"bundle {str(path)!r} does not exist; give a folder that compress wrote")
    if not _is_plain(path / MANIFEST):
        raise OutputError(f"{str(path)!r} is no bundle: it has no {MANIFEST}; give a folder that compress wrote")
    with (path / MANIFEST).open("rb") as file:
        manifest = parse_manifest(file.read(MAX_BYTES + 1))
    for name, entry in manifest.files.items():
        if Path(name).name != name or not _is_plain(path / name):
            raise OutputError(f"bundle {str(path)!r} lacks {name!r}; compress again")
        if not _is_as_listed(path / name, entry):
            raise OutputError(f"bundle {str(path)!r}: {name!r} was changed after it was written; compress again")
    known = {MANIFEST, SIGNATURE, *manifest.files}
    extra = sorted(entry.name for entry in path.iterdir() if entry.name not in known or not _is_plain(entry))
    if extra:
        raise OutputError(f"bundle {str(path)!r} holds {extra[0]!r}, which is not of the bundle; remove it")
    return Bundle(path=path, manifest=manifest)


def _is_plain(path: Path) -> bool:
    """Whether a file lies there itself: a link could lead to another file tomorrow."""
    return path.is_file() and not path.is_symlink()


def _is_as_listed(path: Path, entry: FileEntry) -> bool:
    """Whether size and hash are those of the manifest; a file of another size is not even read."""
    if path.stat().st_size != entry.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
