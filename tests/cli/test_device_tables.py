"""What a device measured, as a table: only what is known is in it."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.cli.device_tables import print_devices
from edgecompress.validation.elsewhere.measured import DeviceFigures
from edgecompress.validation.elsewhere.results import Elsewhere

STEADY = np.full(20, 8.0)
RAN_ON = {"onnxruntime": "1.2.3", "machine": "aarch64"}


def _printed(figures: DeviceFigures, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_devices(Elsewhere(runtimes={"ssh://pi@board": {"ran_on": RAN_ON, "measured": figures.entry}, "openvino": {}}))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_artifact_stands_next_to_the_float_file(capsys: pytest.CaptureFixture[str]) -> None:
    figures = DeviceFigures(
        artifact_ms=STEADY,
        original_ms=2 * STEADY,
        threads=4,
        memory_bytes={"original": 30_000_000, "compressed": 9_000_000},
        before={"temperature_c": 41.0, "clock_mhz": 2400.0},
        after={"temperature_c": 55.5, "clock_mhz": 1500.0},
    )
    lines = _printed(figures, capsys)
    assert lines[0] == "measured on ssh://pi@board"
    assert " ".join(lines[2].split()) == "latency, 4 threads 16.0 ms 8.00 ms 2.00x faster (2.00-2.00)"
    assert lines[5].split() == ["memory", "30.00", "MB", "9.00", "MB"]
    told = " ".join(lines[6:])
    assert told.startswith("aarch64; onnxruntime 1.2.3; temperature, 41 to 56 °C; clock, 2400 to 1500 MHz ")
    assert "the clock fell from 2400 to 1500 MHz; cool the device" in told


def test_what_is_not_known_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(DeviceFigures(artifact_ms=STEADY), capsys)
    assert lines[2].split() == ["latency,", "1", "thread", "8.00", "ms"]
    assert not any(word in line for line in lines for word in ("memory", "°C", "MHz", "None"))
