"""The file that keeps a calibration: npz without pickle, replaced whole, so that a killed run can go on from it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.arrays import Array
from edgecompress.calibration.histogram import Extent, Histogram
from edgecompress.calibration.sample_ends import SampleEnds
from edgecompress.calibration.state import Calibration, Mark, Marks, Survey
from edgecompress.errors import DataError, OutputError
from edgecompress.system.archives import read_npz
from edgecompress.system.durable import replacing

FORMAT = 1


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration, whole or in part; a file that is there is replaced in one step.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, **_arrays(calibration))
    except OSError as error:
        raise OutputError(
            f"statistics {str(path)!r} cannot be written: {error.strerror}; choose another --statistics FILE"
        ) from error


def load(path: Path) -> Calibration:
    """Read what :func:`save` wrote.

    Raises:
        DataError: it is no such file, or one of another version.
    """
    try:
        return _calibration(read_npz(path))
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{str(path)!r} is no statistics file of this version; delete it, or choose another --statistics FILE"
        ) from error


def _arrays(calibration: Calibration) -> dict[str, Array]:
    survey, histograms = calibration.survey, calibration.histograms
    names = sorted(survey.extents)
    ends = [survey.ends[name] for name in names]
    return {
        "format": np.array(FORMAT),
        "model": np.array(calibration.model),
        "tensors": np.array(names, dtype=np.str_),
        "extents": np.array([(survey.extents[name].low, survey.extents[name].high) for name in names]).reshape(-1, 2),
        "samples": np.array([end.samples for end in ends], np.int64),
        # Whole numbers of hundreds of bits: as text.
        "low_units": np.array([str(end.low_units) for end in ends], dtype=np.str_),
        "high_units": np.array([str(end.high_units) for end in ends], dtype=np.str_),
        "surveyed": _table(survey.batches),
        "complete": np.array(survey.complete),
        "counts": np.array([histograms[name].counts for name in names if name in histograms], np.int64),
        "counted": _table(calibration.counted),
    }


def _calibration(file: Mapping[str, Array]) -> Calibration:
    if int(file["format"]) != FORMAT:
        raise ValueError("another version")
    names = [str(name) for name in file["tensors"]]
    extents = {
        name: Extent(low=float(low), high=float(high)) for name, (low, high) in zip(names, file["extents"], strict=True)
    }
    ends = {
        name: SampleEnds(samples=int(samples), low_units=int(low), high_units=int(high))
        for name, samples, low, high in zip(names, file["samples"], file["low_units"], file["high_units"], strict=True)
    }
    complete = bool(file["complete"])
    survey = Survey(extents=extents, ends=ends, batches=_marks(file["surveyed"]), complete=complete)
    histograms = {
        name: Histogram(low=extents[name].low, high=extents[name].high, counts=counts)
        for name, counts in zip(names, file["counts"], strict=complete)
    }
    return Calibration(model=str(file["model"]), survey=survey, histograms=histograms, counted=_marks(file["counted"]))


def _table(marks: Marks) -> Array:
    fields = [("index", np.int64), ("rows", np.int64), ("sha256", "<U64")]
    return np.array([(index, mark.rows, mark.sha256) for index, mark in sorted(marks.items())], dtype=fields)


def _marks(table: Any) -> Marks:
    return {int(index): Mark(rows=int(rows), sha256=str(sha256)) for index, rows, sha256 in table.tolist()}
