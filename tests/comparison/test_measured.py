"""What is kept of a row comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecompress.comparison.measured import FILE, Measured, Timing, keep, recall
from edgecompress.errors import OutputError

ROWS = [
    Measured(key="original", title="original", digest="a", size_bytes=9, compression_ratio=1.0),
    Measured(
        key="int8",
        title="INT8",
        digest="b",
        metric_drop_interval_95=(-0.5, 1.25),
        metric_verdict="no difference",
        timing=Timing(median_ms=1.5, speedup=2.0, low=1.9, high=2.1, doubts=("why",)),
    ),
    Measured(key="distilled", title="distilled", digest="c", missing="needs train data (--train)"),
]


def test_rows_come_back(tmp_path: Path) -> None:
    keep(tmp_path, ROWS)
    assert list(recall(tmp_path).values()) == ROWS


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": 1, "rows": [{}]}', '{"format_version": 0}'])
def test_a_file_that_is_none_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert recall(tmp_path) == {}


def test_no_file_is_no_row(tmp_path: Path) -> None:
    assert recall(tmp_path) == {}


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"format_version": 2, "rows": []}))
    with pytest.raises(OutputError, match=r"is of format 2, .* choose another --output, or upgrade"):
        recall(tmp_path)
