"""Benchmarks in Python: which of several ONNX models is faster."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from edgecompress.bundle.manifest import MANIFEST
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.errors import ModelError, RecipeError, a_kind, plural
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import path, whole
from edgecompress.recipe.tables import MAX_BATCH_SIZE, MAX_THREADS
from edgecompress.recipe.wording import in_python_words
from edgecompress.runtime import to_bytes
from edgecompress.system.cores import available_cores
from edgecompress.system.scratch import scratch_folder
from edgecompress.timing.benchmark import Benchmark
from edgecompress.timing.benchmark import benchmark as time_files

LEAST_RUNS = 10


Timeable = ir.Model | Bundle | str | Path
"""An ONNX model in memory, a bundle, or the path of a file."""


@in_python_words
def benchmark(
    models: Sequence[Timeable] | Timeable,
    *,
    threads: int = 1,
    runs: int = 100,
    batch_size: Sequence[int] = (),
    progress: Progress | None = None,
) -> Benchmark:
    """Say which of several ONNX models is faster than the first, and by how much, on the same made-up inputs.

    Args:
        models: paths of ONNX files or of bundles' folders, bundles, or ONNX models in memory; the first is what the
            others are compared with. A single one is timed by itself.
        threads: intra-op threads.
        runs: timed runs of each, at least 10; on a noisy machine up to ten times as many.
        batch_size: sizes for a dynamic batch dimension, each timed by itself; by default 1.
        progress: what is told of the progress; by default nobody.

    Returns:
        A row for each model and batch size: latency of a call in milliseconds, size in bytes, and the speedup over the
        first with its interval. A model in memory is called ``models[INDEX]``.

    Raises:
        ModelError: a file is missing, ONNX Runtime refuses it, or it takes other inputs than the first; or batch sizes
            are given and the batch dimension is fixed.
        OutputError: the folder of a bundle is not what its manifest says.
        RecipeError: an argument is of the wrong type or out of range.
    """
    if isinstance(models, (str, Path, Bundle, ir.Model)):
        models = (models,)
    if not isinstance(models, (list, tuple)) or not models:
        told = models if isinstance(models, (int, list, tuple)) else a_kind(models)
        raise RecipeError(f"models is {told}; give a list of ONNX files, models or bundles")
    sizes = _sizes(batch_size)
    whole("threads", threads, 1, f"give 1 to {MAX_THREADS}", MAX_THREADS)
    whole("runs", runs, LEAST_RUNS, f"give at least {LEAST_RUNS}")
    progress = progress or Progress()
    if (cores := available_cores()) < threads:
        progress.warn(
            f"{plural(threads, 'thread')} on {plural(cores, 'core')} wait for one another; time with at most {cores}"
        )
    with scratch_folder() as folder:
        files = [_file(model, folder / f"{index}.onnx") for index, model in enumerate(models)]
        rows = time_files(files, threads=int(threads), runs=int(runs), batch_sizes=sizes, progress=progress)
        names = {str(folder / f"{index}.onnx"): f"models[{index}]" for index in range(len(files))}
    return Benchmark(rows=tuple(replace(row, file=names.get(row.file, row.file)) for row in rows), threads=int(threads))


def _sizes(batch_size: Sequence[int]) -> list[int]:
    if not isinstance(batch_size, Collection):
        raise RecipeError(f"batch_size is {batch_size!r}; give a list of batch sizes")
    return [whole("batch_size", size, 1, f"give 1 to {MAX_BATCH_SIZE}", MAX_BATCH_SIZE) for size in batch_size]


def _file(model: Timeable, place: Path) -> Path:
    """The file of a model; one in memory is written to the place."""
    if isinstance(model, Bundle):
        return model.artifact
    if isinstance(model, ir.Model):
        place.write_bytes(to_bytes(model))
        return place
    if not isinstance(model, (str, Path)):
        raise ModelError(f"{a_kind(model)} cannot be timed; give an ONNX file, an onnx_ir.Model or a bundle")
    given = path("models", model)
    return read_bundle(given).artifact if (given / MANIFEST).is_file() else given
