"""Streaming collection of activation statistics through ONNX Runtime.

Two passes: the extent of every tensor, then a histogram over that extent. Each run holds a few
samples, whatever the size of the user's batches, so that memory does not grow with the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgecompress.calibration.statistics import Extent, Histogram
from edgecompress.data import Array, Batch, Batches
from edgecompress.errors import DataError, EdgecompressError
from edgecompress.progress import Progress
from edgecompress.runtime import ALL_CORES, open_session, run_session, signature

RUN_BYTES = 64 * 2**20
"""Activations that one run may return."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was seen: a histogram for each tensor, the number of samples, and a SHA-256 of the inputs."""

    histograms: Mapping[str, Histogram]
    samples: int
    digest: str


def collect(model: ir.Model, tensors: Sequence[str], batches: Batches, progress: Progress) -> Calibration:
    """Histograms of the named tensors of a float model over all batches.

    Args:
        model: not modified.
        tensors: names of float values of its graph; inputs of the graph may be among them.
        batches: read twice.
        progress: told of every batch.

    Raises:
        DataError: the batches do not fit the model, or the second reading differs from the first.
        EdgecompressError: a tensor is not finite.
    """
    probe = _Probe(model, tensors)
    extents: dict[str, Extent] = {}
    hasher, samples = hashlib.sha256(), 0
    for batch in progress.track(batches, "calibrate 1/2: extents"):
        samples += batch.rows
        batch.update(hasher)
        for values in probe.run(batch):
            _widen(extents, values)
    histograms = {name: Histogram.empty(extent) for name, extent in extents.items()}
    seen = 0
    for batch in progress.track(batches, "calibrate 2/2: histograms"):
        seen += batch.rows
        for values in probe.run(batch):
            histograms.update({name: histograms[name].add(array) for name, array in values.items()})
    if seen != samples:
        raise DataError(
            f"the calibration data gave {samples} samples, then {seen} on the second reading; it must repeat itself"
        )
    return Calibration(histograms=histograms, samples=samples, digest=hasher.hexdigest())


class _Probe:
    """The model with the watched tensors as its outputs."""

    def __init__(self, model: ir.Model, tensors: Sequence[str]) -> None:
        watched = model.clone()
        values = {str(value.name): value for node in watched.graph for value in node.outputs}
        inputs = {str(value.name) for value in watched.graph.inputs}
        self._inputs = [name for name in tensors if name in inputs]
        self._names = [name for name in tensors if name not in inputs]
        watched.graph.outputs.clear()
        watched.graph.outputs.extend(values[name] for name in self._names)
        self._session = open_session(watched, threads=ALL_CORES) if self._names else None
        self._splits = all(isinstance(spec.shape[0], str) for spec in signature(model))

    def run(self, batch: Batch) -> Iterator[dict[str, Array]]:
        """The watched tensors, for a few samples at a time."""
        if not self._splits:
            yield self._values(batch)
            return
        first = self._values(batch.slice(0, 1))
        yield first
        stride = max(1, RUN_BYTES // max(1, sum(array.nbytes for array in first.values())))
        for start in range(1, batch.rows, stride):
            yield self._values(batch.slice(start, start + stride))

    def _values(self, batch: Batch) -> dict[str, Array]:
        outputs = run_session(self._session, batch.inputs) if self._session else []
        values = dict(zip(self._names, outputs, strict=True))
        return {name: batch.inputs[name] for name in self._inputs} | values


def _widen(extents: dict[str, Extent], values: Mapping[str, Array]) -> None:
    for name, array in values.items():
        if array.size == 0:
            continue
        extent = Extent.of(array)
        if not (np.isfinite(extent.low) and np.isfinite(extent.high)):
            raise EdgecompressError(f"tensor {name!r} of the float model is not finite on the calibration data")
        extents[name] = extents[name].merge(extent) if name in extents else extent

