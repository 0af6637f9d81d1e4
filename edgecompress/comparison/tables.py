"""The reference table as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from edgecompress.comparison.measured import Measured, Timing
from edgecompress.metrics.metric import DEFAULT
from edgecompress.units import kilobytes, metric, metric_title, milliseconds, signed
from edgecompress.validation.drops import span

HEADINGS = ("model", "size", "smaller", "latency", "speedup", "accuracy", "drop")
DOUBTED = {"no difference": "none", "too few samples to say": "open"}
"""What is said of a drop that may be chance, in a few words and in a word."""
CSV_FIELDS = (
    *("row", "model", "size_bytes", "compression_ratio", "latency_ms", "speedup", "speedup_low", "speedup_high"),
    "speed_verdict",
    *("accuracy_percent", "accuracy_drop_points", "drop_low", "drop_high", "drop_verdict", "missing"),
)


def headings(rows: Sequence[Measured]) -> tuple[str, ...]:
    """The heading of each column, with the name of the metric in place of ``accuracy`` where it is another one."""
    title = _title(rows)
    return HEADINGS if title is None else tuple(title if heading == "accuracy" else heading for heading in HEADINGS)


def _title(rows: Sequence[Measured]) -> str | None:
    """Of the metric; None where it is accuracy."""
    found = {row.metric for row in rows if row.there}
    if found <= {DEFAULT}:
        return None
    return metric_title(found.pop()) if len(found) == 1 else "metric"


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
        "" if timing is None else _speedup(timing),
        *_measured(row),
    ]


def _speedup(timing: Timing) -> str:
    exact = timing.low == timing.high == 1
    return factor(timing) if exact else f"{factor(timing)} ({timing.low:.2f}-{timing.high:.2f})"


def _measured(row: Measured) -> list[str]:
    """The metric and its drop; what was kept from before the metric had a name is accuracy."""
    value, drop = _figures(row)
    return [
        "-" if value is None else metric(value, row.metric_unit),
        "-" if drop is None else _drop_cell(row, drop),
    ]


def _drop_cell(row: Measured, drop: float) -> str:
    """A drop with its interval, or why it says nothing."""
    said = row.metric_verdict if row.metric_verdict in DOUBTED else signed(drop, row.metric_unit)
    interval = row.metric_drop_interval_95
    ends = "" if interval is None else span(interval, row.metric_unit)
    return f"{said} ({ends})" if ends else said


def short_drop(row: Measured) -> str:
    """A drop, or a word on why it says nothing."""
    _, drop = _figures(row)
    return "-" if drop is None else DOUBTED.get(row.metric_verdict or "") or signed(drop, row.metric_unit)


def factor(timing: Timing) -> str:
    """The speedup, or why it says nothing; the original's over itself is exact."""
    return "1.00x" if timing.low == timing.high == 1 else timing.ratio.factor


def as_markdown(rows: Sequence[Measured]) -> str:
    """A table with a line for each row."""
    lines = [headings(rows), ["---"] * len(HEADINGS), *map(cells, rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def as_csv(rows: Sequence[Measured]) -> str:
    """The figures in full, the units in the headings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_csv_fields(rows))
    for row in rows:
        timing = row.timing
        times: list[float | str | None] = [None] * 5
        if timing is not None:
            times = [timing.median_ms, timing.speedup, timing.low, timing.high, timing.ratio.verdict]
        ends = row.metric_drop_interval_95 or (None, None)
        figures = [row.size_bytes, row.compression_ratio, *times, *_figures(row), *ends, row.metric_verdict]
        writer.writerow([row.key, row.title, *figures, row.missing])
    return buffer.getvalue()


def _csv_fields(rows: Sequence[Measured]) -> list[str]:
    """The fields, with those of the metric in place of accuracy's where it is another one."""
    title = _title(rows)
    own = {} if title is None else {"accuracy_percent": title, "accuracy_drop_points": f"{title}_drop"}
    return [own.get(field, field) for field in CSV_FIELDS]


def _figures(row: Measured) -> tuple[float | None, float | None]:
    return (row.accuracy, row.accuracy_drop) if row.metric == DEFAULT else (row.metric_value, row.metric_drop)
