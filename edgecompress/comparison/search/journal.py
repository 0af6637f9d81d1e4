"""The journal file of a study: one line for each change, from any number of workers on machines that share the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecompress.errors import OutputError
from edgecompress.system.locks import owned

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

OPERATION = "op_code"
"""A key of every line that Optuna writes."""
BEGINNING = f'{{"{OPERATION}"'.encode()
SQLITE = b"SQLite format 3"


class JournalLock:
    """What Optuna takes to write; the kernel lets go of it when the worker dies.

    Args:
        journal: absolute.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._held = ExitStack()

    def acquire(self) -> bool:
        """Wait until no other worker writes."""
        self._held.enter_context(_alone_at(self._journal))
        return True

    def release(self) -> None:
        """Let the others write."""
        self._held.close()


def lock_of_trial(journal: Path, name: str) -> Path:
    """The lock of a trial, next to the journal, where all workers look."""
    return Path(f"{journal}.{name}.lock")


def open_journal(path: Path) -> BaseStorage:
    """The storage in a journal file, which is made where it is missing.

    Half a line at its end, of a worker that had no room left, is cut off.

    Raises:
        OutputError: it cannot be read or written, or is none; then it is left as it is.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = path.absolute()
    lock: Any = JournalLock(path)
    try:
        if path.exists():
            with _alone_at(path):
                _cut_half_a_line(path)
        return JournalStorage(JournalFileBackend(str(path), lock))
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{str(path)!r} cannot be used: {error.strerror}; choose another --output or --storage"
        ) from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise _no_journal(path) from error


@contextmanager
def _alone_at(journal: Path) -> Iterator[None]:
    """No other worker writes; the lock goes with its holder."""
    place = Path(f"{journal}.lock")
    with owned(place, wait=True):
        try:
            yield
        finally:
            place.unlink(missing_ok=True)


def _cut_half_a_line(path: Path) -> None:
    with path.open("r+b") as file:
        content = file.read()
        if not content:
            return
        whole = content[: content.rfind(b"\n") + 1]
        if not (_is_operation(whole.partition(b"\n")[0]) if whole else content.startswith(BEGINNING)):
            raise _no_journal(path, content)
        file.truncate(len(whole))


def _is_operation(line: bytes) -> bool:
    try:
        read = json.loads(line)
    except ValueError:
        return False
    return isinstance(read, dict) and OPERATION in read


def _no_journal(path: Path, content: bytes = b"") -> OutputError:
    fix = f"write --storage sqlite:///{path}" if content.startswith(SQLITE) else "give another --storage"
    return OutputError(f"{str(path)!r} is no journal of a study; {fix}")
