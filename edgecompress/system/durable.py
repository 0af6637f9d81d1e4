"""Files and folders that are there whole or not at all, whenever the process or the machine dies."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edgecompress.errors import OutputError
from edgecompress.system.locks import owned

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What the system says where what is written finds no room."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV)
"""What ``renameat2`` says where the kernel or the file system does not know how to exchange two names."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of ``path`` in one step once it has reached the disk.

    Two processes that replace the same file take turns; what a killed one left is written over.

    Raises:
        OSError: it cannot be written; the old file stays, and nothing else is left.
        OutputError: it is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{str(path)!r} is a folder; name a file in it")
    partial = partial_of(path)
    with owned(partial, wait=True) as file:
        try:
            file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
            sync_folder(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file's content in one step, in a folder that is made where it is missing.

    Raises:
        OutputError: it cannot be written; what was there stays.
    """
    update_whole(path, lambda: data)


def update_whole(path: Path, content: Callable[[], bytes]) -> None:
    """Replace a file's content, as :func:`write_whole` does, by what is made of it while no other process replaces it.

    Args:
        path: of the file; what ``content`` reads there is what the last process wrote.
        content: gives what to write.

    Raises:
        OutputError: it cannot be written; what was there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"{str(path)!r} cannot be written: {reason}; choose another place") from error


def write_new(path: Path, data: bytes) -> None:
    """Write a file that nobody reads yet, and wait for the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def partial_of(path: Path) -> Path:
    """The name that a file or a folder has while it is written."""
    return path.with_name(f".{path.name}.partial")


def exchange(first: Path, second: Path) -> bool:
    """Let two names of one file system change places in one step; False where that cannot be done.

    Raises:
        OSError: it can be done, and failed.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))


def sync_folder(folder: Path) -> None:
    """The names in a folder reach the disk too; Windows has no such call for folders, and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
