"""The bundle says on which machine it was measured."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from edgecompress.bundle.outcome import UNKNOWN, cpu_here, environment
from edgecompress.validation.elsewhere.device.program import cpu_lines

PI = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: {}\n\nModel\t\t: Raspberry Pi\n"


@pytest.mark.parametrize(("part", "name"), [("0xd08", "Cortex-A72"), ("0xd0b", "Cortex-A76")])
def test_an_arm_cpu_has_the_name_of_its_cores(
    part: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(PI.format(part))
    monkeypatch.setattr("edgecompress.bundle.outcome.cpu_lines", lambda: cpu_lines(tmp_path))
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert environment()["cpu"] == name


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("", UNKNOWN),
        ("arm", UNKNOWN),
        ("x86_64", UNKNOWN),
        ("Intel64 Family 6 Model 140", "Intel64 Family 6 Model 140"),
    ],
)
def test_the_kind_of_a_cpu_is_no_name(told: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecompress.bundle.outcome.cpu_lines", dict)
    monkeypatch.setattr(platform, "processor", lambda: told)
    assert cpu_here() == name
