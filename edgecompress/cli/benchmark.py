"""``edgecompress benchmark``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from edgecompress.cli.tables import print_json, print_table
from edgecompress.units import kilobytes, milliseconds


def run(
    files: Annotated[list[Path], typer.Argument(metavar="MODEL.onnx [OTHER.onnx ...]")],
    threads: Annotated[int, typer.Option(min=1, help="Intra-op threads.")] = 1,
    runs: Annotated[int, typer.Option(min=10, help="Timed runs of each file, interleaved.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Time ONNX files against the first, in one interleaved run."""
    from edgecompress.validation.benchmark import benchmark

    rows = benchmark(files, threads=threads, runs=runs)
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
        return 0
    table = [
        [
            row.file,
            kilobytes(row.size_bytes),
            milliseconds(row.latency.median_ms),
            milliseconds(row.latency.p95_ms),
            milliseconds(row.latency.p99_ms),
            f"{row.speedup:.2f}x ({row.low:.2f}-{row.high:.2f})" if index else "",
            row.verdict if index else "",
        ]
        for index, row in enumerate(rows)
    ]
    print_table(["file", "size", "median", "p95", "p99", "speed to first", ""], table)
    return 0
