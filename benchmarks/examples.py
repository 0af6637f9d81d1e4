"""The bundles of examples/ compared with ONNX Runtime's quantizer: python -m benchmarks.examples segmentation

Reads the bundles that the commands of an example's README leave in its folder (``make examples``), and writes
``docs/includes/example-NAME.md``, the table of its page. ``quantize_static`` is given the float file that the bundles
are compared with, and the same calibration batches; then all files are measured in one run.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.int8_table import machine, version
from benchmarks.quantizers import CANDIDATES, run_candidate
from benchmarks.subjects import write_calibration
from edgecompress import read_bundle
from edgecompress.arithmetic import Arithmetic
from edgecompress.bundle.reading import ARTIFACT
from edgecompress.data.splits import Streams
from edgecompress.loading.models import load_model
from edgecompress.loading.opened import Opened, open_together
from edgecompress.metrics.metric import Measure
from edgecompress.pipeline.fold import convert
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe, parse_recipe
from edgecompress.runtime import ALL_CORES, open_session, to_bytes
from edgecompress.techniques.context import Context
from edgecompress.timing.latency import interleave_sessions
from edgecompress.timing.ratios import Ratio, ratio_of
from edgecompress.units import signed
from edgecompress.validation.scores import score

ROOT = Path(__file__).resolve().parent.parent
PEERS = {
    "ONNX Runtime, min-max": "`quantize_static`",
    "ONNX Runtime, reduce_range": "`quantize_static`, `reduce_range`",
}
"""What candidates are called here."""
PEER_BYTES = 12 * 10**9
"""What a quantizer may allocate."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A network of a folder of ``examples/``, and the bundles that its README makes of it."""

    network: str
    weights: str
    bundles: tuple[str, ...]
    calibration: str = "batches.py:calibration"
    evaluation: str = "batches.py:validation"


EXAMPLES = {
    "detection": Example(
        network="nets.py:detector", weights="detector.safetensors", bundles=("detector-mobile", "detector-edge")
    ),
    "segmentation": Example(network="nets.py:unet", weights="unet.safetensors", bundles=("unet-mobile", "unet-edge")),
    "keywords": Example(
        network="nets.py:spotter", weights="spotter.safetensors", bundles=("spotter-mobile", "spotter-edge")
    ),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A file as it was measured; ``exact`` and ``native`` are the metric by either arithmetic.

    ``ratio`` is the float file's latency over this one's.
    """

    title: str
    size_bytes: int
    median_ms: float
    ratio: Ratio
    exact: float
    native: float


def rows_of(example: Example, folder: Path) -> tuple[Measure, list[Row]]:
    """Quantize with ``quantize_static``, and measure everything: the float file first.

    Args:
        example: the current folder is its folder, in which the bundles are.
        folder: an empty one, for the other files.
    """
    bundles = {name: read_bundle(name) for name in example.bundles}
    recipe = parse_recipe({"evaluation": next(iter(bundles.values())).manifest.recipe["evaluation"]})
    opened = _opened(example, recipe)
    files = {"float": _float_file(opened, folder / "float.onnx")}
    for name, bundle in bundles.items():
        files[f"edgecompress, `{bundle.manifest.target.name}`"] = Path(name) / ARTIFACT
    files |= _peer_files(opened, folder)
    return opened.batches["evaluation"].measure, _measured(files, opened)


def _opened(example: Example, recipe: Recipe) -> Opened:
    data = {"calibration": example.calibration, "evaluation": example.evaluation}
    return open_together(load_model(example.network, example.weights), data, recipe)


def _float_file(opened: Opened, file: Path) -> Path:
    streams = Streams(calibration=opened.batches["calibration"])
    context = Context(recipe=opened.recipe, example=opened.first(), streams=streams)
    file.write_bytes(to_bytes(convert(opened.network, context).original))
    return file


def _peer_files(opened: Opened, folder: Path) -> dict[str, Path]:
    write_calibration(opened.batches["calibration"], folder)
    numbers = {candidate.name: number for number, candidate in enumerate(CANDIDATES)}
    found = {name: run_candidate(numbers[name], folder, PEER_BYTES) for name in PEERS}
    for name, quantized in found.items():
        if quantized.failure is not None:
            raise RuntimeError(f"{name}: {quantized.failure}")
    return {f"ONNX Runtime, {PEERS[name]}": quantized.file for name, quantized in found.items()}


def _measured(files: dict[str, Path], opened: Opened, runs: int = 200) -> list[Row]:
    inputs = opened.batches["evaluation"].first().sample(1).inputs
    times = interleave_sessions(list(files.values()), inputs, runs=runs, threads=1)
    exact, native = _values(files, opened, "exact"), _values(files, opened, "native")
    return [
        Row(
            title=title,
            size_bytes=file.stat().st_size,
            median_ms=float(np.median(times[:, index])),
            ratio=ratio_of(times[:, 0], times[:, index]),
            exact=exact[index],
            native=native[index],
        )
        for index, (title, file) in enumerate(files.items())
    ]


def _values(files: dict[str, Path], opened: Opened, arithmetic: Arithmetic) -> list[float]:
    sessions = [open_session(file, ALL_CORES, arithmetic=arithmetic) for file in files.values()]
    values = score(sessions, opened.batches["evaluation"], Progress()).values
    return [value for value in values if value is not None]


def table(measure: Measure, rows: Sequence[Row]) -> str:
    """The Markdown that the page of the example shows."""
    name, unit = "top-1" if measure.is_top1 else measure.name, measure.unit and f" {measure.unit}"
    headings = ("file", "size", "latency", "faster (95 %)", name, "change", f"{name} on this CPU")
    lines = [headings, ("---",) * len(headings)]
    for row in rows:
        change = "" if row is rows[0] else signed(row.exact - rows[0].exact, "%")
        faster = "" if row is rows[0] else f"{row.ratio.value:.2f}x ({row.ratio.low:.2f}-{row.ratio.high:.2f})"
        size, latency = f"{row.size_bytes / 1e3:.0f} kB", f"{row.median_ms:.2f} ms"
        lines.append((row.title, size, latency, faster, f"{row.exact:.2f}{unit}", change, f"{row.native:.2f}{unit}"))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def section(measure: Measure, rows: Sequence[Row]) -> str:
    """The table, and how it came about."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("edgecompress", "torch", "onnxruntime"))
    return (
        f"{table(measure, rows)}\n\n"
        f"All files in one run, on {machine()}, with {versions}: the same float file, calibration and evaluation data; "
        "latency of one sample on one thread, medians of calls in turn. The metric is that of exact sums of 8-bit "
        "products, as Arm and x86 with VNNI have them; the last column is what this CPU makes of the file by default.\n"
    )


def main() -> None:
    """Measure the examples that are named, and write their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.examples", description=__doc__)
    parser.add_argument("names", nargs="+", choices=list(EXAMPLES))
    torch.set_num_threads(1)
    for name in parser.parse_args().names:
        with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(ROOT / "examples" / name):
            text = section(*rows_of(EXAMPLES[name], Path(scratch)))
        print(text)
        (ROOT / "docs" / "includes" / f"example-{name}.md").write_text(text)


if __name__ == "__main__":
    main()
