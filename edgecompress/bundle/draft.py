"""The bundle while it is written: a folder next to the output, which takes its place in one step.

``.<output>.partial`` holds ``lock``, which its owner has open; ``bundle``, which becomes the output; and ``old``, the
replaced output, where the file system cannot exchange two names. What a killed run left there, the next one removes,
or puts back.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgecompress.bundle.manifest import MANIFEST, SIGNATURE, Manifest, dump_manifest, file_entry, listed_files
from edgecompress.bundle.reading import Bundle
from edgecompress.errors import OutputError
from edgecompress.system.durable import exchange, partial_of, sync_folder, write_new
from edgecompress.system.locks import owned

Sign = Callable[[bytes], bytes]
LOCK, NEW, OLD = "lock", "bundle", "old"


class Draft:
    """A folder next to the output; :meth:`finish` makes it the output."""

    def __init__(self, place: Path, output: Path, *, overwrite: bool) -> None:
        self._place, self._output, self._overwrite = place, output, overwrite

    def finish(self, files: Mapping[str, bytes], manifest: Manifest, sign: Sign | None = None) -> Bundle:
        """Write the files and the manifest, flush them to the disk, and let the folder become the output.

        Args:
            files: content by name.
            manifest: its ``files`` are replaced by the hashes of ``files``.
            sign: makes the content of ``manifest.sig`` from that of the manifest.

        Raises:
            OutputError: it cannot be written, or another output has come to be there; what was there stays.
        """
        complete = manifest.model_copy(update={"files": {name: file_entry(data) for name, data in files.items()}})
        content, new = dump_manifest(complete), self._place / NEW
        written = {**files, MANIFEST: content} | ({SIGNATURE: sign(content)} if sign is not None else {})
        with _explained(self._output):
            new.mkdir()
            for name, data in written.items():
                write_new(new / name, data)
            sync_folder(new)
            require_free(self._output, overwrite=self._overwrite)  # long ago it was
            _swap(new, self._output, self._place / OLD)
            sync_folder(self._output.parent)
        return Bundle(path=self._output, manifest=complete)


@contextmanager
def open_draft(output: Path, *, overwrite: bool) -> Iterator[Draft]:
    """A draft of the bundle at ``output``; without :meth:`Draft.finish` nothing is left of it.

    Raises:
        OutputError: the output exists and may not be replaced, another run is writing it, or its folder cannot be
            written.
    """
    output = Path(os.path.realpath(output))  # where a link leads; unlike resolve, this survives a link to itself
    with ExitStack() as opened:
        with _explained(output):
            require_free(output, overwrite=overwrite)
            opened.enter_context(_made(output.parent))
            place = opened.enter_context(_place(partial_of(output), output))
            require_free(output, overwrite=overwrite)
        yield Draft(place, output, overwrite=overwrite)


@contextmanager
def _place(folder: Path, output: Path) -> Iterator[Path]:
    """The folder of the draft, for this process only and with no draft in it; it is removed again."""
    with ExitStack() as opened:
        _lock(folder, opened)
        _clear(folder, output)
        try:
            yield folder
        finally:
            with suppress(OSError):  # what cannot be removed now, the next run removes
                _clear(folder, output)
                (folder / LOCK).unlink()
                folder.rmdir()


def _lock(folder: Path, opened: ExitStack) -> None:
    """Make the folder where it is missing, and have its lock until ``opened`` is closed."""
    while True:
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():  # a stranger's, who wants to have the bundle elsewhere
            raise OSError(errno.ELOOP, f"{str(folder)!r} is a link")
        try:
            opened.enter_context(owned(folder / LOCK, wait=False))
        except FileNotFoundError:  # the run before removes the folder at this moment
            continue
        except OSError:
            with suppress(OSError):
                folder.rmdir()
            raise
        return


def _clear(place: Path, output: Path) -> None:
    """Put back the output that a run had moved away when it died, and remove what is left of drafts."""
    if (place / OLD).exists() and not output.exists():
        (place / OLD).rename(output)
    for name in (NEW, OLD):
        if (place / name).exists():
            shutil.rmtree(place / name)


def _swap(new: Path, output: Path, old: Path) -> None:
    """Put the new folder in the place of the output; at every moment one of the two is there."""
    if not output.exists():
        new.rename(output)
    elif not exchange(new, output):
        output.rename(old)  # a run that is killed here is repaired by the next one
        try:
            new.rename(output)
        except OSError:
            old.rename(output)
            raise


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
    """Let a full disk, a missing permission or another run end in one line."""
    try:
        yield
    except BlockingIOError as error:
        raise OutputError(
            f"output {str(output)!r} is being written by another run; wait for it, or choose another --output"
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"output {str(output)!r} cannot be written: {reason}; choose another --output") from error


def require_free(output: Path, *, overwrite: bool) -> None:
    """Check that a bundle may come to be at ``output``.

    Raises:
        OutputError: something is there that is not to be replaced.
    """
    if not output.exists() and not output.is_symlink():
        return
    named = _named_files(output)
    if named is None:
        raise OutputError(f"output {str(output)!r} exists, is no bundle and is kept; name a new folder as --output")
    strangers = sorted(entry.name for entry in output.iterdir() if entry.name not in named or not entry.is_file())
    if strangers:
        raise OutputError(
            f"output {str(output)!r} holds {strangers[0]!r}, which is not of the bundle, and is kept;"
            " move it away or choose another --output"
        )
    if not overwrite:
        raise OutputError(f"output {str(output)!r} exists; choose another --output or add --overwrite")


def _named_files(folder: Path) -> frozenset[str] | None:
    """What may lie in a folder that is replaced: nothing, or a bundle's files; None for anything else."""
    if not folder.is_dir():
        return None
    if not any(folder.iterdir()):
        return frozenset()
    return listed_files((folder / MANIFEST).read_bytes()) if (folder / MANIFEST).is_file() else None
