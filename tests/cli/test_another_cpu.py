"""Where the target has another CPU than this machine, its budgets of latency wait for times of such a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.cli import main

FLOAT = ("--set", "quantization.enabled=false", "--output", "net-float")


@pytest.mark.usefixtures("project")
def test_a_speed_of_another_cpu_decides_nothing_until_it_is_timed_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "x86-vnni")
    quick = (
        "export.simplify=false",
        "cpu.runs=10",
        "quantization.adaround=false",
        "budgets.min_speedup=99",
        "budgets.min_compression_ratio=none",
    )
    given = [word for each in quick for word in ("--set", each)]
    assert (
        main(["compress", "nets.py:net", "--target", "android", "--calibration", "batches.py:calibration", *given]) == 0
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert "min_speedup 99 x - not measured" in printed
    assert (
        "latency is that of this machine; to measure min_speedup on armv8.2-dotprod: --device ssh://HOST or adb://SERIAL"
        in printed
    )
    assert "to meet min_speedup" not in printed
    assert (
        '<p class="dim">not measured: max_accuracy_drop, min_speedup</p>' in Path("net-android/report.html").read_text()
    )
    assert main(["validate", "net-android"]) == 0
    reason = "the target's CPU is armv8.2-dotprod, this machine's x86-vnni"
    assert f"min_speedup is not measured: {reason}; to time it there" in " ".join(capsys.readouterr().err.split())
    assert main(["validate", "net-android", "--require-measured"]) == 1
    told = f"min_speedup is not measured: {reason}; to time it there, give --device ssh://HOST or adb://SERIAL and the"
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "min_speedup" in line] == [
        f"warning: {told} float model (--original), or drop it with --min-speedup none"
    ]
    assert main(["validate", "net-android", "--min-speedup", "99"]) == 1  # asked for here, of the record
    assert "decided by this machine's times" not in capsys.readouterr().err
    original = ["--original", "net-float/model.onnx", "--runs", "10"]
    assert main(["compress", "nets.py:net", "--calibration", "batches.py:calibration", *given[:4], *FLOAT]) == 0
    capsys.readouterr()
    assert main(["validate", "net-android", "--min-speedup", "99", *original]) == 1
    told = f"min_speedup is asked for, and decided by this machine's times: {reason}; to time it there, give --device"
    assert told in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "armv8.2-dotprod")
    assert main(["validate", "net-android"]) == 0  # what another CPU took is no speedup of this one


@pytest.mark.usefixtures("project")
def test_a_speed_that_the_target_s_own_cpu_took_counts_wherever_it_is_validated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "armv8.2-dotprod")
    quick = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "budgets.min_speedup=99")
    given = [word for each in (*quick, "budgets.min_compression_ratio=none") for word in ("--set", each)]
    command = ["compress", "nets.py:net", "--target", "android", "--calibration", "batches.py:calibration", *given]
    assert main(command) == 1
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "x86-vnni")
    assert main(["validate", "net-android"]) == 1
