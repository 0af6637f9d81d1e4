"""Benchmark: which ONNX file is faster, and by how much."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecompress.contained import require_survives
from edgecompress.data import Array
from edgecompress.errors import EdgecompressError, ModelError
from edgecompress.onnx_files import require_file
from edgecompress.runtime import open_session, run_session
from edgecompress.validation.latency import Latency, interleave, ratio_interval, summarize

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One file, timed; ``speedup`` is the first file's median over this one's, bounded at 95 %."""

    file: str
    size_bytes: int
    latency: Latency
    speedup: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``faster``, ``slower`` or ``no difference`` at 95 %."""
        if self.low > 1:
            return "faster"
        return "slower" if self.high < 1 else "no difference"


def benchmark(files: Sequence[Path], *, threads: int, runs: int) -> list[Timed]:
    """Time ONNX files in one interleaved run, on the same random inputs.

    Args:
        files: the first is what the others are compared to.
        threads: intra-op threads.
        runs: timed runs of each file.

    Raises:
        ModelError: a file is missing or ONNX Runtime refuses it.
    """
    sessions = [_open(file, threads) for file in files]
    calls = [functools.partial(run_session, session, random_inputs(session)) for session in sessions]
    times = interleave(calls, runs)
    rows = []
    for index, file in enumerate(files):
        low, high = ratio_interval(times[:, 0], times[:, index])
        speedup = float(np.median(times[:, 0]) / np.median(times[:, index]))
        latency = summarize(times[:, index])
        size = file.stat().st_size
        rows.append(Timed(file=str(file), size_bytes=size, latency=latency, speedup=speedup, low=low, high=high))
    return rows


def random_inputs(session: InferenceSession) -> dict[str, Array]:
    """Seeded inputs for a session; a dynamic dimension is 1. Integers are 0, valid for any embedding."""
    generator = np.random.default_rng(0)
    inputs: dict[str, Array] = {}
    for spec in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in spec.shape]
        dtype: Any = DTYPES.get(spec.type)
        if dtype is None:
            raise ModelError(
                f"input {spec.name!r} is {spec.type}, which benchmark cannot make up; give a file that takes numbers"
            )
        real = np.issubdtype(dtype, np.floating)
        inputs[spec.name] = generator.standard_normal(shape).astype(dtype) if real else np.zeros(shape, dtype)
    return inputs


def _open(file: Path, threads: int) -> InferenceSession:
    require_file(file)
    require_survives(file, repr(str(file)), ModelError, "export it again, or in other operators")
    try:
        return open_session(file, threads)
    except EdgecompressError as error:
        raise ModelError(f"{str(file)!r}: {error}") from None
