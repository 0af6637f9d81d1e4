"""``edgecompress benchmark``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecompress.cli.tables import console, print_json, print_table
from edgecompress.recipe import MAX_THREADS
from edgecompress.units import kilobytes, milliseconds, speed

if TYPE_CHECKING:
    from edgecompress.validation.benchmark import Timed


def run(
    files: Annotated[list[Path], typer.Argument(metavar="MODEL.onnx [OTHER.onnx ...]")],
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS, help="Intra-op threads.")] = 1,
    runs: Annotated[int, typer.Option(min=10, help="Timed runs of each file, interleaved.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Time ONNX files against the first, in one interleaved run."""
    from edgecompress.validation.benchmark import benchmark

    rows = benchmark(files, threads=threads, runs=runs)
    if as_json:
        print_json([{**dataclasses.asdict(row), "verdict": row.verdict} for row in rows])
        return 0
    table = [
        [row.file, kilobytes(row.size_bytes), *map(milliseconds, dataclasses.astuple(row.latency))] for row in rows
    ]
    print_table(["file", "size", "median", "p95", "p99"], table)
    for row in rows[1:]:
        console().print(f"{row.file}: {_against_first(row)}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _against_first(row: Timed) -> str:
    if row.verdict == "no difference":
        return f"no difference to the first ({row.low:.2f}-{row.high:.2f}x)"
    return f"{speed(row.speedup, row.low, row.high)} than the first"
