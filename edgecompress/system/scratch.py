"""Temporary folders, which native code writes into; a full one ends in one line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecompress.errors import EdgecompressError, InputError, OutputError
from edgecompress.system.durable import UNWRITABLE

PROBE_BYTES = 2**20
"""Where so much cannot be written, what native code failed at, in words of its own, was the room."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder in the temporary folder of the machine; it is removed again.

    Raises:
        OutputError: the temporary folder cannot be written, or is full.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix="edgecompress-", ignore_cleanup_errors=True)
    except OSError as error:
        raise no_room(error.strerror or type(error).__name__) from error
    with made as name:
        try:
            yield Path(name)
        except InputError:
            raise
        except EdgecompressError as error:
            _require_room(Path(name), error)
            raise
        except OSError as error:
            if error.errno in UNWRITABLE:
                raise no_room(error.strerror or type(error).__name__) from error
            raise


def _require_room(folder: Path, failure: EdgecompressError) -> None:
    try:
        (folder / "probe").write_bytes(bytes(PROBE_BYTES))
    except OSError as error:
        raise no_room(error.strerror or type(error).__name__) from failure


def no_room(reason: str) -> OutputError:
    """What to raise where the temporary folder does not hold what has to be written."""
    folder = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")  # named in a message, not written to  # nosec B108
    return OutputError(f"temporary folder {folder!r} cannot be written: {reason}; set TMPDIR to one with room")
