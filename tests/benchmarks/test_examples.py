"""The table of an example: each file against the float one, in the unit of the metric."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.examples import EXAMPLES, ROOT, Row, section, table
from edgecompress.metrics.metric import named_measure
from edgecompress.timing.ratios import Ratio

FLOAT = Row(
    title="float",
    size_bytes=2_000_000,
    median_ms=3.0,
    ratio=Ratio(value=1.0, low=1.0, high=1.0),
    exact=90.0,
    native=90.0,
)
INT8 = replace(
    FLOAT,
    title="ours",
    size_bytes=500_000,
    median_ms=1.5,
    ratio=Ratio(value=2.0, low=1.9, high=2.1),
    exact=89.5,
    native=70.0,
)


def _cells(metric: str, *rows: Row) -> list[list[str]]:
    lines = table(named_measure(metric), rows).splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_a_row_has_its_change_and_its_ratio() -> None:
    *_, original, ours = _cells("miou", FLOAT, INT8)
    assert original == ["float", "2000 kB", "3.00 ms", "", "90.00 %", "", "90.00 %"]
    assert ours == ["ours", "500 kB", "1.50 ms", "2.00x (1.90-2.10)", "89.50 %", "-0.50", "70.00 %"]


def test_the_metric_is_named() -> None:
    assert _cells("miou", FLOAT)[0][4:] == ["miou", "change", "miou on this CPU"]
    assert _cells("top1", FLOAT)[0][4] == "top-1"


def test_a_metric_without_a_unit() -> None:
    assert _cells("cosine", FLOAT, replace(INT8, exact=0.5))[-1][4] == "0.50"


def test_the_section_says_where_it_was_measured() -> None:
    text = section(named_measure("miou"), [FLOAT, INT8])
    assert " cores of an " in text
    assert "onnxruntime 1." in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_made_by_its_readme(name: str) -> None:
    readme = (ROOT / "examples" / name / "README.md").read_text()
    example = EXAMPLES[name]
    for bundle in example.bundles:
        assert f"--output {bundle} " in readme
    calibration, evaluation = f"--calibration {example.calibration} ", f"--evaluation {example.evaluation} "
    for text in (f"compress {example.network} ", f"--weights {example.weights} ", calibration, evaluation):
        assert text in readme
