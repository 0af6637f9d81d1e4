"""Rows of a bundle's measures: numbers, or refused; a ratio of times says what it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecompress import OutputError
from edgecompress.bundle.measured_rows import RECORDED, MeasuredRow, recorded_speedup
from edgecompress.bundle.reading import Bundle, recorded_number
from edgecompress.validation.drops import Drop
from tests.exporters.bundles import MADE


def _bundle(**latency: Any) -> Bundle:
    return Bundle(path=Path("b"), manifest=MADE.model_copy(update={"metrics": {"latency_ms": latency}}))


def test_a_recorded_speedup_has_its_interval() -> None:
    row = recorded_speedup(_bundle(ratio=0.33, ratio_interval_95=[0.24, 1.06]))
    assert (row.value, row.interval, row.source) == (0.33, (0.24, 1.06), RECORDED)
    assert row.text == "too noisy to say (0.24-1.06)"
    assert row.entry["verdict"] == "too noisy to say"
    assert row.entry["interval_95"] == [0.24, 1.06]


@pytest.mark.parametrize("ends", [None, [], [1.0], [0.0, 1.0], [2.0, 1.0], "ab", {"0": 1}])
def test_a_bundle_without_an_interval_has_a_plain_speedup(ends: Any) -> None:
    row = recorded_speedup(_bundle(ratio=2.0, ratio_interval_95=ends))
    assert (row.value, row.interval, row.text) == (2.0, None, "2.000 x")


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(OutputError, match=r"'metrics\.latency_ms\.ratio_interval_95\.0' of its manifest is no number"):
        recorded_speedup(_bundle(ratio=2.0, ratio_interval_95=["[bold]", 1.0]))
    assert recorded_number(_bundle(), "latency_ms", "ratio") is None


def test_other_measures_have_a_value_with_a_unit() -> None:
    assert MeasuredRow(measure="latency_ms", value=1.5, unit="ms", source="", interval=(1.0, 2.0)).text == "1.500 ms"
    assert MeasuredRow(measure="accuracy", value=None, unit="%", source="").text == "not measured"
    assert MeasuredRow(measure="sqnr_db", value=200.0, unit="dB", source="").text == "identical"
    assert MeasuredRow(measure="mae", value=1234.5, unit="m", source="").text == "1234 m"


def test_a_drop_of_nothing_has_no_interval_to_show() -> None:
    drop = Drop(before=80.0, after=80.0, unit="%", higher_is_better=True, interval_95=(0.0, 0.0))
    row = MeasuredRow(measure="accuracy_drop", value=0.0, unit="points", source="", drop=drop)
    assert row.text == "no difference"
