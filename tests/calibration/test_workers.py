"""Two processes give the bytes that one gives, and none waits for one that failed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgecompress.calibration import Workers, joined_workers
from edgecompress.cli import main
from edgecompress.errors import InputError
from tests.conftest import ROOT

OPTIONS = ["--set", "export.simplify=false", "--set", "cpu.runs=10", "--set", "budgets.min_compression_ratio=none"]
OPTIONS += ["--set", "budgets.min_speedup=none", "--set", "budgets.max_accuracy_drop=100"]
DATA = """
import os
from tests.networks import images

def ragged():
    whole = [image for image, _ in images(rows=6, batches=5, seed=1)]
    return [*whole[:4], whole[4][:2]]

def faulty():
    return [*ragged()[:3], "no tensor"] if os.environ.get("RANK") == "1" else ragged()

def dying():
    if os.environ.get("RANK") == "1":
        os._exit(9)
    return ragged()
"""


def _run(project: Path, count: int, data: str) -> list[subprocess.CompletedProcess[str]]:
    """The command as ``torchrun`` starts it, once for each rank."""
    (project / "shared_data.py").write_text(DATA)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
    command = [sys.executable, "-m", "edgecompress", "compress", "nets.py:net"]
    command += [*OPTIONS, "--calibration", f"shared_data.py:{data}"]
    command += ["--output", f"out{count}", "--statistics", f"statistics{count}.npz"]
    started = [
        subprocess.Popen(
            command,
            env={**shared, "MASTER_PORT": port, "RANK": str(rank), "LOCAL_WORLD_SIZE": str(count)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    outputs = [process.communicate(timeout=240) for process in started]
    return [
        subprocess.CompletedProcess(command, process.returncode, *output)
        for process, output in zip(started, outputs, strict=True)
    ]


def test_two_processes_give_the_bytes_of_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _run(project, 2, "ragged")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "within budget: " in first.stdout
    assert (second.stdout, second.stderr) == ("", "")
    alone = ["--calibration", "shared_data.py:ragged", "--output", "out1", "--statistics", "statistics1.npz"]
    assert main(["compress", "nets.py:net", *alone, *OPTIONS]) == 0, capsys.readouterr().err
    for name in ("model.onnx", "recipe.toml"):
        assert Path("out1", name).read_bytes() == Path("out2", name).read_bytes()
    assert Path("statistics1.npz").stat().st_size == Path("statistics2.npz").stat().st_size
    assert [path.name for path in project.glob("*-of-2")] == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("faulty", "error: worker 1 of 2 failed: calibration batch 3: 'image' is a str; a tensor of numbers is needed"),
        ("dying", "lost the others, one of which failed"),
    ],
)
def test_a_worker_that_fails_does_not_hang_the_others(project: Path, data: str, words: str) -> None:
    first, second = _run(project, 2, data)
    assert first.returncode in (2, 3)
    assert second.returncode != 0
    assert first.stderr.splitlines()[-1].startswith("error: ")
    assert words in first.stderr
    assert not Path("out2").exists()


def test_a_process_alone_joins_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_workers() as workers:
        assert workers == Workers()
    assert workers.exchange(lambda: 3) == [3]
    assert all(workers.owns(index) for index in range(5))


def test_workers_without_an_address_are_told_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with (
        pytest.raises(InputError, match="start them by torchrun or accelerate launch, or unset WORLD_SIZE"),
        joined_workers(),
    ):
        pass


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_batch_has_one_worker(count: int) -> None:
    workers = [Workers(rank=rank, count=count) for rank in range(count)]
    assert all(sum(worker.owns(index) for worker in workers) == 1 for index in range(10))
