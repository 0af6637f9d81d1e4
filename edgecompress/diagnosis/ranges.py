"""Ranges: what values an activation has, and which of them its integers can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgecompress.arrays import Array
from edgecompress.calibration import QuantParams
from edgecompress.data.batches import Batch
from edgecompress.diagnosis.intermediate_values import parts_of, watch
from edgecompress.quantization.qdq_pairs import read_params

BINS = 64


@dataclass(frozen=True, kw_only=True)
class Range:
    """One activation: its values in the float model, and the range that calibration chose.

    ``counts`` are over equal bins from ``least`` to ``greatest``; ``outside`` is the share of values, 0 to 1, beyond
    ``low`` and ``high``; neighbouring integers lie ``step`` apart.
    """

    value: str
    least: float
    greatest: float
    counts: tuple[int, ...]
    low: float
    high: float
    step: float
    outside: float


def measure_ranges(
    floats: ir.Model, artifact: ir.Model, values: Sequence[str], codes: int, batch: Batch
) -> list[Range]:
    """The ranges of values that the artifact holds as integers.

    Args:
        floats: the float model that was quantized.
        artifact: what became of it; both are only read.
        values: names in the float model; those without a pair in the artifact are left out.
        codes: how many integers of uint8 calibration spread a range over, 128 or 256; of uint16 it is all.
        batch: its first samples are run.
    """
    known = {value: params for value in values if (params := read_params(artifact.graph, value)) is not None}
    if not known:
        return []
    parts = parts_of(floats, batch)
    ends = [_ends(part) for part in watch(floats, list(known), parts)]
    lows, highs = np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)
    seen = [
        _Seen(float(low), float(high), params, codes)
        for low, high, params in zip(lows, highs, known.values(), strict=True)
    ]
    for part in watch(floats, list(known), parts):
        for watched, array in zip(seen, part, strict=True):
            watched.add(array)
    return [watched.as_range(value) for value, watched in zip(known, seen, strict=True)]


def _ends(part: Sequence[Array]) -> tuple[list[float], list[float]]:
    """The least and the greatest of each value."""
    return [float(array.min()) for array in part], [float(array.max()) for array in part]


class _Seen:
    """Counts of one activation's values, added up part by part."""

    def __init__(self, least: float, greatest: float, params: QuantParams, codes: int) -> None:
        zero = int(params.zero_point)
        codes = codes if params.dtype == np.uint8 else 1 << 8 * params.dtype.itemsize
        self._step = float(params.scale)
        self._low, self._high = -zero * self._step, (codes - 1 - zero) * self._step
        # A constant has a width too: as much as float32 tells apart.
        resolution = max(abs(least), abs(greatest), 1e-30) * float(np.finfo(np.float32).eps)
        width = max(greatest - least, BINS * resolution)
        self._edges = np.linspace(least, least + width, BINS + 1)
        self._counts, self._outside, self._all = np.zeros(BINS, np.int64), 0, 0

    def add(self, array: Array) -> None:
        """Count more values."""
        half = self._step / 2  # what rounds to the last integer is inside
        self._counts += np.histogram(np.clip(array.astype(np.float64), self._edges[0], self._edges[-1]), self._edges)[0]
        self._outside += int(((array < self._low - half) | (array > self._high + half)).sum())
        self._all += array.size

    def as_range(self, value: str) -> Range:
        """What was counted."""
        return Range(
            value=value,
            least=float(self._edges[0]),
            greatest=float(self._edges[-1]),
            counts=tuple(self._counts.tolist()),
            low=self._low,
            high=self._high,
            step=self._step,
            outside=self._outside / max(self._all, 1),
        )
