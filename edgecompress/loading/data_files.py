"""Files of arrays as data; of files in other formats, and of paths where nothing is, one line tells what to give."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.arrays import Axes
from edgecompress.data.whole import cut
from edgecompress.errors import DataError
from edgecompress.loading.folders.folder import SUFFIXES
from edgecompress.system.archives import read_npz

FILE_ROWS = 32
"""Rows to a batch of a file of arrays."""
UNNAMED = re.compile(r"arr_\d+")
"""What numpy.savez calls an array that it is given without a name."""
FILES = (".npz", ".npy")
READ = "give file.py:callable that reads it and returns batches"
FORMATS = {
    **dict.fromkeys((".csv", ".tsv"), ("a table", f"{READ}, or a folder of pictures with labels.csv")),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz"), ("an archive", "unpack it, and give the folder")),
    **dict.fromkeys((".pt", ".pth"), ("a file of PyTorch's", f"{READ}, with torch.load(path, weights_only=True)")),
    **dict.fromkeys((".h5", ".hdf5", ".mat", ".parquet", ".tfrecord", ".arrow"), ("a file of arrays or records", READ)),
    **dict.fromkeys((".json", ".jsonl", ".txt", ".pkl"), ("a file of records", READ)),
    **dict.fromkeys(SUFFIXES, ("a single picture", "give the folder that it lies in")),
}
"""By the suffix: what a file is, and what to give in its place."""


def read_file(path: Path, axes: Axes) -> Iterable[Any]:
    """Batches of ``FILE_ROWS`` rows: arrays by their names, or in their order where the file has none.

    Args:
        path: of an npz or npy file.
        axes: along which axis an array holds its samples, where that is not the first.

    Raises:
        DataError: it is damaged, or its arrays have different numbers of samples.
    """
    return cut(_read(path), FILE_ROWS, axes, repr(str(path)))


def refuse_other_data(spec: str, role: str) -> None:
    """Refuse what is a file in a format that is not read, or a path where nothing is.

    Raises:
        DataError: it is.
    """
    path = Path(spec)
    if (known := FORMATS.get(path.suffix.lower())) is not None:
        what, fix = known
        raise DataError(f"{role} data {spec!r} is {what}; {fix}")
    if ":" not in spec and not path.exists() and (len(path.parts) > 1 or spec.endswith("/")):
        raise DataError(f"{role} data {spec!r} does not exist; check the path, or give file.py:callable")


def _read(path: Path) -> Any:
    if path.suffix == ".npy":
        try:
            array = np.load(path, mmap_mode="c", allow_pickle=False)
        except Exception:  # numpy's reasons advise to unpickle, which is never done here
            raise DataError(
                f"{str(path)!r} cannot be read as npy: it is damaged, no npy, or holds objects; write an array with"
                " numpy.save"
            ) from None
        if array.ndim == 0:
            raise DataError(f"{str(path)!r} holds a single number; save one row for each sample")
        return array
    try:
        arrays = read_npz(path)
    except Exception:
        raise DataError(
            f"{str(path)!r} cannot be read as npz: it is damaged, no npz, larger than memory, or holds objects;"
            " write arrays with numpy.savez"
        ) from None
    return tuple(arrays.values()) if all(map(UNNAMED.fullmatch, arrays)) else arrays
