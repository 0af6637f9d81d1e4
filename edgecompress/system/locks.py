"""Files that one process at a time writes to; the kernel lets go of them when it dies, whatever it dies of."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""A link in the place of the file, which a stranger may have put there, is not written through."""


@contextmanager
def owned(path: Path, *, wait: bool) -> Iterator[BinaryIO]:
    """The file, made where it is missing, for this process only; a file system without locks is trusted.

    Args:
        path: whoever owns it may rename or remove it.
        wait: until the process that has it lets go of it.

    Raises:
        BlockingIOError: another process has it, and ``wait`` is false.
        OSError: it cannot be opened for writing.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
        with os.fdopen(descriptor, "r+b") as file:
            _lock(descriptor, wait)
            if not _is_at(path, descriptor):  # its owner renamed or removed it while this process waited
                continue
            yield file
            return


def _lock(descriptor: int, wait: bool) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:  # no locks on this file system
        return


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
