"""What is measured on the files: latency, size, accuracy or SQNR, and the answers of an emulated Haswell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sessions import open_file, size_of
from edgecompress.data.batches import Batches
from edgecompress.progress import Progress
from edgecompress.runtime import ALL_CORES, run_session
from edgecompress.timing.interleaving import interleave_anew
from edgecompress.timing.ratios import ratio_of
from edgecompress.validation.elsewhere.comparison import compare_at, make_workload
from edgecompress.validation.elsewhere.places import NamedPlace
from edgecompress.validation.elsewhere.results import PlaceResult
from edgecompress.validation.scores import score

if TYPE_CHECKING:
    from edgecompress.timing.interleaving import Call


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One file compared with the float file, the first of those that were measured.

    ``speedup`` is the median ratio, float to this, between ``low`` and ``high`` at 95 %; ``accuracy`` is top-1 in
    percent, None without labels; ``emulated`` is None where nothing was emulated.
    """

    median_ms: float
    speedup: float
    low: float
    high: float
    size_bytes: int
    accuracy: float | None
    sqnr_db: float
    emulated: PlaceResult | None = None


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Timed runs of each file; where else files run, None for nowhere, and on how many images."""

    runs: int
    place: NamedPlace | None
    images: int


def measure(files: Sequence[Path], evaluation: Batches, effort: Effort) -> list[Measured]:
    """Measure files, the float file first, all in turn on the same data.

    Args:
        files: ONNX files, or OpenVINO's, that take the same inputs.
        evaluation: batches, with or without labels.
        effort: how often to time one sample with one thread, and what to emulate with the files but the first.
    """
    scores = score([open_file(file, ALL_CORES) for file in files], evaluation, Progress())
    sample = evaluation.first().sample(1)

    def opened(file: Path) -> Call:
        session = open_file(file, 1, arithmetic="native")
        return lambda: run_session(session, sample.inputs)

    times = interleave_anew([partial(opened, file) for file in files], effort.runs)
    ratios = [ratio_of(times[:, 0], column) for column in times.T]
    return [
        Measured(
            median_ms=float(np.median(times[:, index])),
            speedup=ratios[index].value,
            low=ratios[index].low,
            high=ratios[index].high,
            size_bytes=size_of(file),
            accuracy=scores.values[index],
            sqnr_db=scores.agreements[index].sqnr_db,
            emulated=_emulated(file, evaluation, effort) if index else None,
        )
        for index, file in enumerate(files)
    ]


def _emulated(file: Path, evaluation: Batches, effort: Effort) -> PlaceResult | None:
    if effort.place is None or file.suffix != ".onnx":
        return None
    return compare_at(make_workload(file.read_bytes(), evaluation, effort.images), effort.place, Progress())
