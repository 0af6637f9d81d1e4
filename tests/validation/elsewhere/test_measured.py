"""What devices measure: figures, doubts, and of several devices the worst."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edgecompress.validation.elsewhere.measured import DeviceFigures, deciding

STEADY = np.full(100, 2.0)


def _on(place: str, **values: Any) -> dict[str, Any]:
    return {place: {"measured": DeviceFigures(**{"artifact_ms": STEADY, **values}).entry}}


def test_times_are_told_with_the_float_file_s() -> None:
    entry = DeviceFigures(
        artifact_ms=STEADY, original_ms=3 * STEADY, threads=2, cores=(1, 3), memory_bytes={"compressed": 7}
    ).entry
    latency = entry["latency_ms"]
    assert (latency["original"]["median"], latency["compressed"]["p99"]) == (6.0, 2.0)
    assert latency["ratio"] == pytest.approx(3.0)
    assert (latency["verdict"], latency["runs"], latency["threads"], latency["cores"]) == ("faster", 100, 2, [1, 3])
    assert latency["intervals_95"] == {"median": [2.0, 2.0], "p95": [2.0, 2.0], "p99": [2.0, 2.0]}
    assert entry["memory_bytes"] == {"original": None, "compressed": 7}
    assert json.loads(json.dumps(entry)) == entry


def test_without_a_float_file_nothing_is_compared() -> None:
    latency = DeviceFigures(artifact_ms=STEADY).entry["latency_ms"]
    assert latency["original"] is latency["ratio"] is latency["ratio_interval_95"] is latency["verdict"] is None
    assert "speedup" not in deciding(_on("ssh://a"))


def test_a_clock_that_falls_is_a_doubt() -> None:
    def doubts(before: float, after: float) -> tuple[str, ...]:
        state = {"before": {"clock_mhz": before}, "after": {"clock_mhz": after}}
        return DeviceFigures(artifact_ms=STEADY, original_ms=STEADY, **state).doubts  # type: ignore[arg-type]

    assert doubts(1800, 1700) == ()
    assert doubts(1800, 1200) == (
        "the clock fell from 1800 to 1200 MHz; cool the device, or take the governor 'performance'",
    )


def test_of_several_devices_the_worst_decides() -> None:
    entries = {
        **_on("ssh://fast", original_ms=3 * STEADY),
        **_on("ssh://slow", artifact_ms=2 * STEADY, original_ms=8 * STEADY),
        "openvino": {"failure": None},
    }
    found = deciding(entries)
    assert {name: (figure.value, figure.place) for name, figure in found.items()} == {
        "latency_ms": (4.0, "ssh://slow"),
        "latency_p95_ms": (4.0, "ssh://slow"),
        "latency_p99_ms": (4.0, "ssh://slow"),
        "speedup": (pytest.approx(3.0), "ssh://fast"),
    }
    assert found["latency_ms"].interval == (4.0, 4.0)


@pytest.mark.parametrize("value", ["4", None, True, float("nan"), -1.0, {"median": 4.0}, [4.0]])
def test_what_a_stranger_wrote_decides_nothing(value: object) -> None:
    entry = {"measured": {"latency_ms": {"compressed": {"median": value}, "ratio": value, "intervals_95": value}}}
    assert deciding({"ssh://a": entry, "b": {"measured": value}, "c": {"measured": {"latency_ms": value}}}) == {}
