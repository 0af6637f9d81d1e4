"""The reference table as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from edgecompress.comparison.measured import Measured, Timing
from edgecompress.units import kilobytes, milliseconds, percent

HEADINGS = ("model", "size", "smaller", "latency", "speedup", "accuracy", "drop")
CSV_FIELDS = (
    *("row", "model", "size_bytes", "compression_ratio", "latency_ms", "speedup", "speedup_low", "speedup_high"),
    "speed_verdict",
    *("accuracy_percent", "accuracy_drop_points", "missing"),
)


def cells(row: Measured) -> list[str]:
    """A row as people read it, with units; a row without figures has its reason in place of them."""
    if row.missing is not None:
        return [row.title, f"not measured: {row.missing}", *[""] * (len(HEADINGS) - 2)]
    timing = row.timing
    return [
        row.title,
        "" if row.size_bytes is None else kilobytes(row.size_bytes),
        "" if row.compression_ratio is None else f"{row.compression_ratio:.2f}x",
        "" if timing is None else milliseconds(timing.median_ms),
        "" if timing is None else f"{factor(timing)} ({timing.low:.2f}-{timing.high:.2f})",
        "-" if row.accuracy is None else percent(row.accuracy),
        "-" if row.accuracy_drop is None else f"{row.accuracy_drop:+.2f}",
    ]


def factor(timing: Timing) -> str:
    """The speedup, or why it says nothing; the original's over itself is exact."""
    return "1.00x" if timing.low == timing.high == 1 else timing.ratio.factor


def as_markdown(rows: Sequence[Measured]) -> str:
    """A table with a line for each row."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *map(cells, rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def as_csv(rows: Sequence[Measured]) -> str:
    """The figures in full, the units in the headings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for row in rows:
        timing = row.timing
        times: list[float | str | None] = [None] * 5
        if timing is not None:
            times = [timing.median_ms, timing.speedup, timing.low, timing.high, timing.ratio.verdict]
        figures = [row.size_bytes, row.compression_ratio, *times, row.accuracy, row.accuracy_drop]
        writer.writerow([row.key, row.title, *figures, row.missing])
    return buffer.getvalue()
