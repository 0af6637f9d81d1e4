"""Archives (npz, PyTorch's): what they say that they hold is looked at before anything is read."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from edgecompress.arrays import Array
from edgecompress.system.isolation import memory_limit

HEADER_BYTES = 2**16
"""More than the header of an array ever takes."""


def check_archive(path: Path) -> None:
    """Refuse what would not fit into memory once it is unpacked: kilobytes can stand for terabytes.

    Raises:
        ValueError: its members are larger than what the machine can hold.
        OSError: it cannot be read.
        zipfile.BadZipFile: it is no zip archive, or a damaged one.
    """
    with zipfile.ZipFile(path) as archive:
        size, limit = sum(member.file_size for member in archive.infolist()), memory_limit()
    if size > limit:
        raise ValueError(f"it unpacks to {size / 2**30:.1f} GiB, and {limit / 2**30:.1f} GiB are the limit")


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an npz file by name; nothing in it is unpickled.

    Raises:
        ValueError: it is no npz, holds objects, or arrays that are not as large as they say, or too large.
        OSError: it cannot be read.
        zipfile.BadZipFile: it is damaged.
    """
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                _check_header(io.BytesIO(file.read(HEADER_BYTES)), member.file_size)
    with np.load(path, allow_pickle=False) as pack:
        return {name: pack[name] for name in pack.files}


def _check_header(file: io.BytesIO, size_bytes: int) -> None:
    """An array is allocated before its values are read, at the size that its header claims."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if file.tell() + math.prod(shape) * dtype.itemsize != size_bytes:
        raise ValueError("an array is not as large as its header says")
