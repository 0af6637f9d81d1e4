"""The tables say what was measured, and what was not."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from edgecompress.comparison.measured import Measured, Timing
from edgecompress.comparison.tables import as_csv, as_markdown, cells, short_drop

INT8 = Measured(
    key="int8",
    title="INT8",
    digest="",
    size_bytes=250_000,
    compression_ratio=4.0,
    accuracy=75.8,
    accuracy_drop=0.3,
    timing=Timing(median_ms=1.5, speedup=2.0, low=1.9, high=2.1),
)
UNLABELLED = Measured(key="original", title="original", digest="", size_bytes=1_000_000, compression_ratio=1.0)
MISSING = Measured(key="distilled", title="distilled", digest="", missing="a | b")


def test_markdown_has_a_line_for_each_row() -> None:
    lines = as_markdown([UNLABELLED, INT8, MISSING]).splitlines()
    assert lines[2] == "| original | 1.00 MB | 1.00x |  |  | - | - |"
    assert lines[3] == "| INT8 | 250.0 kB | 4.00x | 1.50 ms | 2.00x (1.90-2.10) | 75.80 % | +0.30 |"
    assert lines[4] == "| distilled | not measured: a \\| b |  |  |  |  |  |"
    assert len(lines) == 5


def test_csv_has_the_figures_in_full() -> None:
    first, last = csv.DictReader(io.StringIO(as_csv([INT8, MISSING])))
    assert {key: float(first[key]) for key in ("size_bytes", "latency_ms", "speedup_low", "accuracy_drop_points")} == {
        "size_bytes": 250_000,
        "latency_ms": 1.5,
        "speedup_low": 1.9,
        "accuracy_drop_points": 0.3,
    }
    assert (last["missing"], last["size_bytes"]) == ("a | b", "")


def test_a_speedup_that_noise_hides_is_none() -> None:
    noisy = replace(INT8, timing=Timing(median_ms=1.5, speedup=0.33, low=0.24, high=1.06))
    whole = replace(UNLABELLED, timing=Timing(median_ms=1.5, speedup=1.0, low=1.0, high=1.0))
    assert cells(noisy)[4] == "too noisy to say (0.24-1.06)"
    assert cells(whole)[4] == "1.00x"
    (row,) = csv.DictReader(io.StringIO(as_csv([noisy])))
    assert row["speed_verdict"] == "too noisy to say"


@pytest.mark.parametrize(
    ("verdict", "interval", "cell", "short"),
    [
        ("worse", (0.1, 0.55), "+0.30 (+0.10 to +0.55)", "+0.30"),
        ("no difference", (-0.1, 0.75), "no difference (-0.10 to +0.75)", "none"),
        ("too few samples to say", (-9.0, 8.0), "too few samples to say (-9.00 to +8.00)", "open"),
        (None, None, "+0.30", "+0.30"),
    ],
)
def test_a_drop_that_may_be_chance_is_none(
    verdict: str | None, interval: tuple[float, float] | None, cell: str, short: str
) -> None:
    row = replace(INT8, metric_verdict=verdict, metric_drop_interval_95=interval)
    assert cells(row)[-1] == cell
    assert short_drop(row) == short
    (found,) = csv.DictReader(io.StringIO(as_csv([row])))
    assert (found["drop_low"], found["drop_verdict"]) == ("" if interval is None else str(interval[0]), verdict or "")
    assert float(found["accuracy_drop_points"]) == 0.3


@pytest.mark.parametrize("name", ["accuracy", "drop", "speedup"])
def test_a_metric_may_be_called_as_a_column_is(name: str) -> None:
    row = replace(INT8, metric=f"scores.py:{name}", metric_value=0.9, metric_unit="")
    first, _ = as_csv([row]).splitlines()
    assert first.split(",")[-6:-4] == [name, f"{name}_drop"]
