"""What runs on a device reads what the device is and what it is like, as far as that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.validation.elsewhere.device.program import conditions, cores, cpu_lines, device_model, keep_to, probe

CPUINFO = """processor\t: 0
BogoMIPS\t: 108.00
CPU implementer\t: 0x41
CPU part\t: 0xd05

processor\t: 1
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


def _put(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_board_says_what_it_is(tmp_path: Path) -> None:
    _put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    _put(tmp_path, "proc/cpuinfo", CPUINFO)
    assert device_model(tmp_path) == "Raspberry Pi 5 Model B Rev 1.0"
    assert cpu_lines(tmp_path) == {"CPU implementer": ["0x41"], "CPU part": ["0xd05", "0xd0b"]}


def test_the_hottest_sensor_and_the_slowest_of_the_cores_count(tmp_path: Path) -> None:
    for zone, heat in enumerate(["48312", "52000", "-273000", "999000", "broken"]):
        _put(tmp_path, f"sys/class/thermal/thermal_zone{zone}/temp", f"{heat}\n")
    for core, clock in enumerate(["600000", "1800000", "2400000"]):
        _put(tmp_path, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", f"{clock}\n")
    assert conditions({1, 2}, tmp_path) == {"temperature_c": 52.0, "clock_mhz": 1800.0}


def test_what_is_not_told_is_left_out(tmp_path: Path) -> None:
    assert (device_model(tmp_path), cpu_lines(tmp_path), conditions({0}, tmp_path)) == ("", {}, {})


def test_cores_that_are_not_there_are_refused() -> None:
    keep_to(set())
    with pytest.raises(RuntimeError, match=r"^device\.cores names other cores than \d"):
        keep_to({10**6})


def test_the_probe_has_versions_and_cores() -> None:
    found = probe()
    assert {"python", "machine", "libc", "numpy", "onnxruntime"} <= found.keys()
    assert found["cores"] == sorted(cores())
