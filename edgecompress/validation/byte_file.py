"""The artifact's second file, which takes bytes: made, and held against the first one on the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from edgecompress.arithmetic import Arithmetic
from edgecompress.arrays import Array, Inputs
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import EdgecompressError, ModelError, ParityError
from edgecompress.exporters.byte_input import NO_PICTURES, RANK, take_bytes
from edgecompress.exporters.finish import compact, fault_of
from edgecompress.exporters.pixels import Pixels
from edgecompress.metrics.agreement import Agreement
from edgecompress.recipe.tables import Cpu
from edgecompress.runtime import ALL_CORES, open_session, run_session, session_rows
from edgecompress.step import StepResult
from edgecompress.targets.cpus import threads_here
from edgecompress.timing.interleaving import interleave_anew
from edgecompress.timing.latency import LatencyComparison, compare_times

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BYTES_ARTIFACT = "model.uint8.onnx"
MOST_SAMPLES = 128
"""On which both files are compared."""
LEAST_DB = 80.0
"""Agreement that the rounding of floats leaves, as long as no integer behind it becomes another."""
FOLDS = (True, False)


@dataclass(frozen=True, kw_only=True, eq=False)
class ByteFile:
    """A file that takes bytes, what was done to the first one for it, and how its outputs agree with that one's.

    ``latency`` is of one sample, with NumPy's normalization in front of the first file.
    """

    content: bytes
    pixels: Pixels
    changes: tuple[str, ...]
    agreement: Agreement
    samples: int
    latency: LatencyComparison

    @property
    def entry(self) -> dict[str, Any]:
        """The same without the file as plain data, for JSON."""
        latency, agreement = self.latency, self.agreement
        return {
            "file": BYTES_ARTIFACT,
            "layout": self.pixels.layout,
            "scaled": self.pixels.scaled,
            "mean": list(self.pixels.mean),
            "std": list(self.pixels.std),
            "changes": list(self.changes),
            "samples": self.samples,
            "identical": agreement.max_abs_error == 0,
            **{key: agreement.entry[key] for key in ("sqnr_db", "max_abs_error", "top1_agreement")},
            "latency_ms": {
                "float": latency.first.median_ms,
                "uint8": latency.second.median_ms,
                "ratio": latency.speedup,
                "ratio_interval_95": [latency.low, latency.high],
                "verdict": latency.ratio.verdict,
            },
        }


def make_byte_file(artifact: bytes, pixels: Pixels, data: Batches, cpu: Cpu, arithmetic: Arithmetic) -> ByteFile:
    """Make the file that takes bytes, and compare it with the artifact on data whose bytes are known.

    Where convolutions that took mean and deviation round so that integers behind them become others, the normalization
    stands in front instead, as it was before: the outputs are then the same bit for bit.

    Args:
        artifact: bytes of the ONNX file with a float input.
        pixels: how bytes become that input.
        data: of the artifact; the first 128 samples are read.
        cpu: threads and number of timed runs.
        arithmetic: of the outputs that are compared: the target's.

    Raises:
        ModelError: the artifact has no input of pictures.
        DataError: the data are not made of bytes in this way.
        ParityError: the file answers otherwise.
    """
    tries = (_compared(artifact, take_bytes(artifact, pixels, fold=fold), pixels, data, arithmetic) for fold in FOLDS)
    made = next((found for found in tries if found.agreement.sqnr_db >= LEAST_DB), None)
    if made is None:
        raise ParityError("model.uint8.onnx answers otherwise than the artifact; leave export.image_input out")
    with_axes = open_session(made.content, 1, arithmetic=arithmetic)
    sample = data.first().sample(session_rows(with_axes, data.axes) or 1).inputs
    latency = _timed((artifact, made.content), sample, _picture(with_axes), pixels, cpu)
    return ByteFile(
        content=made.content,
        pixels=pixels,
        changes=made.changes,
        agreement=made.agreement,
        samples=made.samples,
        latency=latency,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Compared:
    """A file, and how its outputs agree with the artifact's."""

    content: bytes
    changes: tuple[str, ...]
    agreement: Agreement
    samples: int


def _compared(
    artifact: bytes, made: StepResult[ir.Model], pixels: Pixels, data: Batches, arithmetic: Arithmetic
) -> _Compared:
    content = compact(made.model)
    if (fault := fault_of(content)) is not None:
        raise EdgecompressError(f"the artifact that takes bytes is not valid ONNX: {fault}")
    floats, integers = (
        open_session(file, ALL_CORES, background=True, arithmetic=arithmetic) for file in (artifact, content)
    )
    name, names = _picture(integers), [spec.name for spec in floats.get_outputs()]
    agreement, samples = Agreement(), 0
    for batch, given in _read(data, name, pixels):
        expected = run_session(floats, {**batch.inputs, name: pixels.normalized(given)})
        found = run_session(integers, {**batch.inputs, name: given})
        agreement = agreement.merge(Agreement.between(expected, found, names=names, class_axis=data.class_axis))
        samples += batch.rows
    return _Compared(content=content, changes=made.changes, agreement=agreement, samples=samples)


def _picture(session: InferenceSession) -> str:
    """The input that takes bytes and was float: the first of 4 dimensions, as it was found."""
    return next(
        str(spec.name) for spec in session.get_inputs() if spec.type == "tensor(uint8)" and len(spec.shape) == RANK
    )


def check_bytes(pixels: Pixels, inputs: Inputs) -> None:
    """Require that the pictures among inputs are made of bytes, before anything that takes long.

    Raises:
        DataError: they are not.
        ModelError: none of them is a picture.
    """
    for array in inputs.values():
        if array.ndim == RANK and array.dtype == np.float32:
            pixels.bytes_of(array)
            return
    raise ModelError(NO_PICTURES)


def _read(data: Batches, name: str, pixels: Pixels) -> Iterator[tuple[Batch, Array]]:
    """Batches, and the bytes of their pictures, of the first samples."""
    samples = 0
    for batch in data:
        yield batch, pixels.bytes_of(batch.inputs[name])
        samples += batch.rows
        if samples >= MOST_SAMPLES:
            return


def _timed(files: tuple[bytes, bytes], sample: Inputs, name: str, pixels: Pixels, cpu: Cpu) -> LatencyComparison:
    """Both files in turn from the same bytes, preprocessing included."""
    given, threads = pixels.bytes_of(sample[name]), threads_here(cpu.threads)

    def on_floats(session: InferenceSession) -> object:
        return run_session(session, {**sample, name: pixels.normalized(given)})

    def on_bytes(session: InferenceSession) -> object:
        return run_session(session, {**sample, name: given})

    def opened(file: bytes, run: Callable[[InferenceSession], object]) -> Callable[[], object]:
        return partial(run, open_session(file, threads, arithmetic="native"))

    openers = [partial(opened, file, run) for file, run in zip(files, (on_floats, on_bytes), strict=True)]
    times = interleave_anew(openers, cpu.runs)
    return compare_times(times[:, 0], times[:, 1], threads)
