"""Streaming collection of activation statistics through ONNX Runtime.

Two passes: the extent of every tensor, then a histogram over it. Each run holds a few samples, whatever the size of
the user's batches, and what it computed is dropped before the next, so that memory does not grow with the data.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from pathlib import Path

import onnx_ir as ir

from edgecompress.arrays import Array, Axes, batch_sizes
from edgecompress.calibration.checkpoint import Keeper, Sharing
from edgecompress.calibration.state import Calibration, Mark, Survey
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import DataError, plural
from edgecompress.progress import Progress
from edgecompress.runtime import declared_shapes, open_session, run_session
from edgecompress.system.scratch import no_room, scratch_folder

RUN_BYTES = 64 * 2**20
"""Activations that one run may return."""


def collect(
    model: ir.Model, tensors: Sequence[str], batches: Batches, progress: Progress, sharing: Sharing | None = None
) -> Calibration:
    """Statistics of the named tensors of a float model over all batches.

    Args:
        model: not modified.
        tensors: names of float values of its graph; inputs of the graph may be among them.
        batches: read twice.
        progress: told of every batch.
        sharing: the workers that share the batches, and the file that keeps the statistics; by default only this
            process, and no file.

    Raises:
        DataError: the batches do not fit the model or the kept statistics, or the second reading differs from the
            first.
        EdgecompressError: a tensor is not finite, or another worker failed.
    """
    sharing = sharing or Sharing()
    with scratch_folder() as folder:
        probe = _Probe(model, tensors, folder, sharing.workers.threads, batches.axes)
        calibration = _two_passes(probe, batches, progress, sharing)
    if calibration.counted_samples != calibration.samples:
        raise DataError(
            f"the calibration data gave {plural(calibration.samples, 'sample')}, then"
            f" {calibration.counted_samples} on the"
            " second reading; it must repeat itself"
        )
    sharing.finish(calibration)
    return calibration


def _two_passes(probe: _Probe, batches: Batches, progress: Progress, sharing: Sharing) -> Calibration:
    """Both passes as far as they are not kept already; every worker has the same sums after each."""
    known = sharing.resume(probe.digest)
    surveys = sharing.workers.exchange(
        lambda: _survey(probe, known, progress.track(batches, EXTENTS, "batch"), sharing)
    )
    if known.complete:
        return known
    if not known.survey.complete:
        known = Calibration.over(replace(reduce(Survey.merge, surveys), complete=True), probe.digest)
    parts = sharing.workers.exchange(
        lambda: _count(probe, known, progress.track(batches, HISTOGRAMS, "batch"), sharing)
    )
    return reduce(Calibration.merge, parts)


EXTENTS, HISTOGRAMS = "calibrating, pass 1 of 2", "calibrating, pass 2 of 2"


def _survey(probe: _Probe, known: Calibration, batches: Iterator[Batch], sharing: Sharing) -> Survey:
    """This worker's part of the first pass; batches that are in the kept survey are only compared with it."""
    survey, marks, seen = known.survey, dict(known.survey.batches), set()
    keeper = Keeper(sharing.part)
    for index, batch in enumerate(batches):
        if not sharing.workers.owns(index):
            continue
        mark = Mark.of(batch)
        sharing.check(index, mark, known.survey)
        seen.add(index)
        if index in marks:
            continue
        for samples, values in probe.run(batch):
            survey = survey.add(values, samples)
            del values  # before the next run computes as much again
        marks[index] = mark
        keeper.keep(replace(known, survey=replace(survey, batches=marks)))
    missing = {index for index in known.survey.batches if sharing.workers.owns(index)} - seen
    if missing:
        raise sharing.other_data(f"there is no batch {min(missing)}, which was counted")
    return replace(survey, batches=marks)


def _count(probe: _Probe, known: Calibration, batches: Iterator[Batch], sharing: Sharing) -> Calibration:
    """This worker's part of the second pass, without the batches that it has counted already."""
    calibration, marks = known, dict(known.counted)
    keeper = Keeper(sharing.part)
    with ThreadPoolExecutor() as pool:
        for index, batch in enumerate(batches):
            if index in marks or not sharing.workers.owns(index):
                continue
            for _, values in probe.run(batch):
                calibration = calibration.add(values, pool)
                del values  # before the next run computes as much again
            marks[index] = Mark.of(batch)
            keeper.keep(replace(calibration, counted=marks))
    return replace(calibration, counted=marks)


class _Probe:
    """The model with the watched tensors as its outputs.

    ``digest`` tells it from other models and other tensors.
    """

    def __init__(self, model: ir.Model, tensors: Sequence[str], folder: Path, threads: int, axes: Axes) -> None:
        watched = model.clone()
        values = {str(value.name): value for node in watched.graph for value in node.outputs}
        inputs = {str(value.name) for value in watched.graph.inputs}
        self._inputs = [name for name in tensors if name in inputs]
        self._names = [name for name in tensors if name not in inputs]
        watched.graph.outputs.clear()
        watched.graph.outputs.extend(values[name] for name in self._names)
        # ONNX Runtime maps a file of weights, where it would copy those in a message, which 2 GB limit as well.
        ir.save(watched, folder / "model.onnx", external_data="weights")
        _check_whole(folder)
        self.digest = _digest(folder, self._inputs)
        self._session = open_session(folder / "model.onnx", threads, background=True) if self._names else None
        self._splits = all(isinstance(size, str) for size in batch_sizes(declared_shapes(model), axes))

    def run(self, batch: Batch) -> Iterator[tuple[int, dict[str, Array]]]:
        """The watched tensors for a few samples at a time, and how many of them each is to be divided into."""
        if not self._splits:
            values = self._values(batch)
            yield _shared_rows(batch.rows, values), values
            return
        values = self._values(batch.slice(0, 1))
        shapes = {name: array.shape for name, array in values.items()}
        stride = max(1, RUN_BYTES // max(1, sum(array.nbytes for array in values.values())))
        yield 1, values
        start = 1
        while start < batch.rows:
            del values  # here as in the caller
            part = batch.slice(start, start + stride)
            values = self._values(part)
            if part.rows > 1 and not all(
                _leads(part.rows, shapes[name], array.shape) for name, array in values.items()
            ):
                stride = 1  # a tensor that does not start with the batch is cut into samples by running each by itself
                continue
            yield part.rows, values
            start += stride

    def _values(self, batch: Batch) -> dict[str, Array]:
        outputs = run_session(self._session, batch.inputs) if self._session else []
        values = dict(zip(self._names, outputs, strict=True))
        return {name: batch.inputs[name] for name in self._inputs} | values


def _check_whole(folder: Path) -> None:
    """Ask the file system for the weights' last byte: a full disk leaves a shorter file, and no error.

    Raises:
        OutputError: the temporary folder has no room.
    """
    initializers = ir.load(folder / "model.onnx").graph.initializers.values()
    tensors = [value.const_value for value in initializers if isinstance(value.const_value, ir.ExternalTensor)]
    size = max(((tensor.offset or 0) + (tensor.length or 0) for tensor in tensors), default=0)
    if not size or (folder / "weights").stat().st_size >= size:
        return
    try:
        with (folder / "weights").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        reason = "it was full for a while"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise no_room(reason)


def _digest(folder: Path, inputs: Sequence[str]) -> str:
    hasher = hashlib.sha256("\n".join(inputs).encode())
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    return hasher.hexdigest()


def _leads(rows: int, single: tuple[int, ...], several: tuple[int, ...]) -> bool:
    """Whether a tensor of shape ``single`` for a sample lies ``rows`` times along the first axis of ``several``."""
    return several[:1] == tuple(rows * size for size in single[:1]) and several[1:] == single[1:] and len(single) > 0


def _shared_rows(rows: int, values: dict[str, Array]) -> int:
    """The samples of a run that cannot be cut: ``rows`` where every tensor has as many, or one whole."""
    return rows if all(array.shape[:1] == (rows,) for array in values.values()) else 1
