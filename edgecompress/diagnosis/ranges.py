"""Ranges: what values an activation has, and which of them its integers can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgecompress.data import Array, Batch
from edgecompress.diagnosis.watched import parts_of, watch
from edgecompress.exporters.pairs import read_params

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
        codes: how many integers calibration spread a range over, 128 or 256.
        batch: of which the first samples are run.
    """
    known = {value: params for value in values if (params := read_params(artifact.graph, value)) is not None}
    if not known:
        return []
    parts = list(watch(floats, list(known), parts_of(floats, batch)))
    found = []
    for place, (value, params) in enumerate(known.items()):
        array = np.concatenate([part[place].reshape(-1) for part in parts])
        step, zero = float(params.scale), int(params.zero_point)
        found.append(_range(value, array, -zero * step, (codes - 1 - zero) * step, step))
    return found


def _range(value: str, array: Array, low: float, high: float, step: float) -> Range:
    counts, edges = np.histogram(array, BINS)
    half = step / 2  # what rounds to the last integer is inside
    return Range(
        value=value,
        least=float(edges[0]),
        greatest=float(edges[-1]),
        counts=tuple(counts.tolist()),
        low=low,
        high=high,
        step=step,
        outside=float(((array < low - half) | (array > high + half)).mean()),
    )
