"""What onnxruntime_perf_test writes is read as its source prints it, and nothing else is taken for that."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgecompress.validation.elsewhere.device.connection import DeviceError
from edgecompress.validation.elsewhere.device.perf_test import (
    PerfTest,
    failure_of,
    read_parts,
    read_runs,
    read_state,
    state_script,
    turns,
)

LINES = "artifact,0.00812,31457280,98,0\nartifact,1.2e-05,31457280,-1,1\n"
NEW = "Average inference time cost total: 4.066000 ms\n"


@pytest.mark.parametrize(
    "printed",
    [NEW, "Average inference time cost: 4.066 ms\n", "Average time cost:4.066 ms\n"],
    ids=["new", "1.x", "old"],
)
def test_seconds_of_each_run_become_milliseconds(printed: str) -> None:
    found = read_runs({"artifact 0": printed + LINES}, "artifact", 2)
    np.testing.assert_allclose(found.times_ms, [8.12, 0.012])
    assert found.peak_bytes == 31457280


@pytest.mark.parametrize(
    "text",
    ["", LINES, NEW, NEW + LINES[:30], NEW + LINES + LINES, NEW + LINES.replace("1.2e-05", "0")],
    ids=["nothing", "no mean", "no runs", "cut", "too many", "zero"],
)
def test_what_is_not_whole_is_no_measurement(text: str) -> None:
    with pytest.raises(DeviceError, match="writes no times as onnxruntime_perf_test does; look at its version"):
        read_runs({"artifact 0": text}, "artifact", 2)


def test_times_in_another_unit_are_noticed() -> None:
    with pytest.raises(DeviceError, match=r"writes other times than it prints: Average .* 4.066000 ms; look at its"):
        read_runs({"artifact 0": NEW + LINES.replace("0.00812", "8120000")}, "artifact", 2)


@pytest.mark.parametrize("runs", [1, 9, 10, 11, 99, 100, 101])
def test_all_runs_have_a_turn(runs: int) -> None:
    assert sum(turns(runs)) == runs
    assert max(turns(runs)) <= 10
    assert max(turns(runs)) - min(turns(runs)) <= 1


def test_files_that_a_system_shows_come_back() -> None:
    said = subprocess.run(["sh", "-c", state_script("state")], capture_output=True, text=True, check=False).stdout
    assert read_state(read_parts(said)["state"])["/proc/cpuinfo"].splitlines() != []


def test_names_with_signs_of_the_shell_stay_names(tmp_path: Path) -> None:
    folder = tmp_path / "a $(touch b) 'c'"
    (folder / "artifact").mkdir(parents=True)
    runner = tmp_path / "run; it"
    runner.write_text('#!/bin/sh\necho "$@" >&2; exit 1\n')
    runner.chmod(0o755)
    script = PerfTest(runner=str(runner), threads=3).script(str(folder), ["artifact"], 2)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    model = f"{folder}/artifact"
    assert failure_of(done.stdout) == f"-m times -r 2 -x 3 {model}/model.onnx {model}.0"
    assert not (tmp_path / "b").exists()
    assert done.returncode == 1


def test_cores_are_a_mask() -> None:
    assert "taskset f0 /runner -m times" in PerfTest(runner="/runner", threads=4, cores=(4, 5, 6, 7)).script(
        "/", ["a"], 1
    )
