"""The bundle: a folder that is written whole or not at all, and read back with every hash checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgecompress.durable import sync_folder
from edgecompress.errors import OutputError
from edgecompress.exporters.manifest import MANIFEST, Manifest, dump_manifest, file_entry, listed_files, parse_manifest

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
        """Whether every measured budget held when the bundle was written."""
        return self.manifest.verdict.outcome == "pass"


class Draft:
    """A temporary folder beside the output; :meth:`finish` makes it the output."""

    def __init__(self, temporary: Path, output: Path) -> None:
        self._temporary = temporary
        self._output = output

    def finish(self, files: Mapping[str, bytes], manifest: Manifest) -> Bundle:
        """Write the files and the manifest, flush them to the disk, and rename the folder.

        ``manifest.files`` is replaced by the hashes of ``files``.
        """
        complete = manifest.model_copy(update={"files": {name: file_entry(data) for name, data in files.items()}})
        for name, data in {**files, MANIFEST: dump_manifest(complete)}.items():
            _write(self._temporary / name, data)
        sync_folder(self._temporary)
        _swap(self._temporary, self._output)
        return Bundle(path=self._output, manifest=complete)


@contextmanager
def open_draft(output: Path, *, overwrite: bool) -> Iterator[Draft]:
    """A draft of the bundle at ``output``; without :meth:`Draft.finish` nothing is left of it.

    Raises:
        OutputError: the output exists and may not be replaced, or its folder cannot be written.
    """
    output = Path(os.path.realpath(output))  # where a link leads; unlike resolve, this survives a link to itself
    with _explained(output):
        _check_free(output, overwrite)
    with _explained(output), _made(output.parent) as parent:
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".partial", dir=parent))
        try:
            temporary.chmod(0o755)
            yield Draft(temporary, output)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def read_bundle(path: Path) -> Bundle:
    """Read a bundle, every byte of it checked against the manifest.

    Raises:
        OutputError: it is no bundle, or a file is missing, changed, or not of the bundle.
    """
    if not (path / MANIFEST).is_file():
        raise OutputError(f"{str(path)!r} is no bundle: it has no {MANIFEST}")
    manifest = parse_manifest((path / MANIFEST).read_bytes())
    for name, entry in manifest.files.items():
        if Path(name).name != name or not (path / name).is_file():
            raise OutputError(f"bundle {str(path)!r} lacks {name!r}; compress again")
        if file_entry((path / name).read_bytes()) != entry:
            raise OutputError(f"bundle {str(path)!r}: {name!r} was changed after it was written; compress again")
    known = {MANIFEST, *manifest.files}
    extra = sorted(entry.name for entry in path.iterdir() if entry.name not in known)
    if extra:
        raise OutputError(f"bundle {str(path)!r} holds {extra[0]!r}, which is not of the bundle; remove it")
    return Bundle(path=path, manifest=manifest)


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """The folder, made where it is missing; what was made for nothing is removed again."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    finally:
        with suppress(OSError):  # where something lies in one of them, that and those above it stay
            for place in missing:
                place.rmdir()


@contextmanager
def _explained(output: Path) -> Iterator[None]:
    """Let a full disk or a missing permission end in one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"output {str(output)!r} cannot be written: {reason}; choose another --output") from error


def _check_free(output: Path, overwrite: bool) -> None:
    if not output.exists() and not output.is_symlink():
        return
    if not overwrite:
        raise OutputError(f"output {str(output)!r} exists; choose another --output or add --overwrite")
    named = _named_files(output)
    if named is None:
        raise OutputError(f"output {str(output)!r} is no bundle and is kept; choose another --output")
    strangers = sorted(entry.name for entry in output.iterdir() if entry.name not in named or not entry.is_file())
    if strangers:
        raise OutputError(
            f"output {str(output)!r} holds {strangers[0]!r}, which is not of the bundle, and is kept;"
            " move it away or choose another --output"
        )


def _named_files(folder: Path) -> frozenset[str] | None:
    """What may lie in a folder that is replaced: nothing, or a bundle's files; None for anything else."""
    if not folder.is_dir():
        return None
    if not any(folder.iterdir()):
        return frozenset()
    return listed_files((folder / MANIFEST).read_bytes()) if (folder / MANIFEST).is_file() else None


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _swap(temporary: Path, output: Path) -> None:
    """Put the new folder in the place of the old one, which stays until the new one is there."""
    if not output.exists():
        temporary.rename(output)
        return
    old = output.with_name(f"{temporary.name}.old")
    output.rename(old)
    try:
        temporary.rename(output)
    except OSError:
        old.rename(output)
        raise
    shutil.rmtree(old)
