"""Benchmark: which ONNX file is faster, by how much, and whether this machine can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.data.dummy_inputs import (
    Specs,
    batch_dimension,
    common_specs,
    dummy_inputs,
    free_dimensions,
    input_specs,
)
from edgecompress.errors import EdgecompressError, InputError, ModelError, first_line
from edgecompress.exporters.graph import external_tensors
from edgecompress.progress import Progress
from edgecompress.runtime import open_session, run_session
from edgecompress.system.isolation import require_file, require_survives
from edgecompress.timing.latency import Latency, interleave_sessions, summarize
from edgecompress.timing.memory import session_bytes
from edgecompress.timing.noise import doubts_of
from edgecompress.timing.ratios import Ratio
from edgecompress.timing.settling import settle


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One file at one batch size.

    ``latency`` is for one call with a batch; ``ratio`` is the first file's time over this one's; ``memory_bytes`` is
    what its session needs in addition to the runtime, None where the system does not tell; ``doubts`` are reasons not
    to trust the figures.
    """

    file: str
    batch_size: int
    size_bytes: int
    memory_bytes: int | None
    latency: Latency
    ratio: Ratio
    runs: int
    doubts: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON, the speedup with its interval and what it says."""
        ratio = self.ratio
        said = {"speedup": ratio.value, "low": ratio.low, "high": ratio.high, "verdict": ratio.verdict}
        return {**{name: value for name, value in asdict(self).items() if name != "ratio"}, **said}


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Files that were timed in turn: ``rows`` have the files in their order, for each batch size anew."""

    rows: tuple[Timed, ...]
    threads: int

    def document(self) -> list[dict[str, Any]]:
        """The rows as plain data, for JSON."""
        return [{**row.document(), "threads": self.threads} for row in self.rows]


def benchmark(
    files: Sequence[Path], *, threads: int, runs: int, batch_sizes: Sequence[int] = (), progress: Progress
) -> list[Timed]:
    """Time ONNX files on the same made-up inputs, for each batch size in one interleaved run.

    Args:
        files: the first is what the others are compared to.
        threads: intra-op threads.
        runs: timed runs of each file, at least; on a noisy machine up to ten times as many.
        batch_sizes: of a dynamic batch dimension, by default only 1.
        progress: told of every batch size, and of dimensions whose sizes nobody knows.

    Raises:
        ModelError: a file is missing, ONNX Runtime refuses it, or it takes other inputs than the first; or batch sizes
            are given and the batch dimension is fixed.
    """
    specs = common_specs({str(file): specs_of(file) for file in files})
    if unknown := free_dimensions(specs):
        progress.warn(f"dynamic dimensions other than the batch are timed as 1: {', '.join(unknown)}")
    stored, rows = [stored_bytes(file) for file in files], list[Timed]()
    for size in progress.track(_sizes(files, specs, batch_sizes), "timing the files", "size"):
        inputs = dummy_inputs(specs, size)
        for file in files:
            _check_runs(file, inputs, threads)
        rows += _timed(files, stored, inputs, size, runs, threads)
    return rows


def _timed(
    files: Sequence[Path], stored: Sequence[int], inputs: Inputs, batch_size: int, runs: int, threads: int
) -> list[Timed]:
    measure = partial(interleave_sessions, files, inputs, runs=runs, threads=threads)
    times, ratios = settle(measure)
    rows = []
    for file, size_bytes, column, ratio in zip(files, stored, times.T, ratios, strict=True):
        rows.append(
            Timed(
                file=str(file),
                batch_size=batch_size,
                size_bytes=size_bytes,
                memory_bytes=session_bytes(file, inputs, threads),
                latency=summarize(column),
                ratio=ratio,
                runs=len(times),
                doubts=doubts_of(column, ratio, "--runs", first_ms=times[:, 0]),
            )
        )
    return rows


def stored_bytes(file: Path) -> int:
    """Bytes of a file and of the files next to it in which an ONNX model keeps its weights."""
    files = {file}
    if file.suffix == ".onnx":
        files |= {file.parent / tensor.location for tensor in external_tensors(ir.load(file))}
    return sum(path.stat().st_size for path in files)


def _sizes(files: Sequence[Path], specs: Specs, asked: Sequence[int]) -> list[int]:
    if batch_dimension(specs) is not None:
        return list(dict.fromkeys(asked)) or [1]
    fixed = next((int(spec.shape[0]) for spec in specs if spec.shape), 1)
    if asked and list(asked) != [fixed]:
        names = " and ".join(repr(str(file)) for file in files)
        raise ModelError(
            f"the batch size of {names} is fixed at {fixed}; leave --batch-size out, or export with a dynamic batch"
        )
    return [fixed]


def specs_of(file: Path) -> Specs:
    """The inputs of a stranger's ONNX file.

    Raises:
        ModelError: it is not there, or ONNX Runtime crashes on it or refuses it; the message names the file.
    """
    require_file(file)
    require_survives(file, repr(str(file)), ModelError, "export it again, or in other operators")
    try:
        return input_specs(open_session(file, 1))
    except InputError as error:
        raise ModelError(f"{str(file)!r}: {error}") from None
    except EdgecompressError as error:
        raise ModelError(f"{str(file)!r}: {error}; export it again, or in other operators") from None


def _check_runs(file: Path, inputs: Inputs, threads: int) -> None:
    try:
        run_session(open_session(file, threads), inputs)
    except Exception as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
        raise ModelError(
            f"{str(file)!r} does not run on made-up inputs ({shapes}): {first_line(error)}; export it with fixed shapes"
        ) from None
