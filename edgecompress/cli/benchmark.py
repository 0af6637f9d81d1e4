"""``edgecompress benchmark``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli.tables import console, print_files, print_json
from edgecompress.recipe.tables import MAX_BATCH_SIZE, MAX_THREADS
from edgecompress.units import kilobytes, milliseconds

if TYPE_CHECKING:
    from edgecompress.timing.benchmark import Timed


def run(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="ONNX files, or bundles; the first is what the others are compared with."),
    ],
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS, metavar="N", help="Intra-op threads.")] = 1,
    runs: Annotated[int, typer.Option(min=10, metavar="N", help="Timed runs, or up to ten times as many.")] = 100,
    batch_sizes: Annotated[
        list[int] | None,
        typer.Option("--batch-size", min=1, max=MAX_BATCH_SIZE, metavar="N", help="For a dynamic batch; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say which of several ONNX files or bundles is faster than the first, and by how much."""
    from edgecompress.api.benchmark import benchmark
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options

    progress = progress_for(Console(stderr=True))
    found = in_options(benchmark)(files, threads=threads, runs=runs, batch_size=batch_sizes or [], progress=progress)
    if as_json:
        print_json(found.document())
        return 0
    rows = found.rows
    table = [
        [
            row.file,
            str(row.batch_size),
            kilobytes(row.size_bytes),
            "-" if row.memory_bytes is None else kilobytes(row.memory_bytes),
            *map(milliseconds, dataclasses.astuple(row.latency)),
        ]
        for row in rows
    ]
    print_files(["file", "batch", "size", "memory", "median", "p95", "p99"], table)
    for line in _sentences(rows, len(files)):
        console().print(line, highlight=False, markup=False, soft_wrap=True)
    for row in rows:
        for doubt in row.doubts:
            progress.warn(f"{_name(row, rows)}: {doubt}")
    return 0


def _sentences(rows: Sequence[Timed], files: int) -> Iterator[str]:
    """A line for each file but the first, at each batch size."""
    for index, row in enumerate(rows):
        if index % files:
            yield f"{_name(row, rows)}: {_against_first(row)}"


def _name(row: Timed, rows: Sequence[Timed]) -> str:
    several = len({row.batch_size for row in rows}) > 1
    return f"{row.file}, batch {row.batch_size}" if several else row.file


def _against_first(row: Timed) -> str:
    ratio = row.ratio
    if ratio.verdict in ("faster", "slower"):
        return f"{ratio.words} than the first"
    link = "from" if ratio.verdict == "no difference" else "against"
    return f"{ratio.verdict} {link} the first ({ratio.low:.2f}-{ratio.high:.2f}x)"
