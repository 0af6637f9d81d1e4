"""Two processes give the bytes that one gives, and none waits for one that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.calibration import Workers, joined_workers
from edgecompress.cli import main
from edgecompress.errors import InputError
from tests.ranks import run_twice

OPTIONS = ["--set", "export.simplify=false", "--set", "cpu.runs=10", "--set", "budgets.min_compression_ratio=none"]
OPTIONS += ["--set", "budgets.min_speedup=none", "--set", "budgets.max_accuracy_drop=100"]
DATA = """
from tests.networks import images

def ragged():
    whole = [image for image, _ in images(rows=6, batches=5, seed=1)]
    return [*whole[:4], whole[4][:2]]
"""


EXCHANGE = """
import os, sys
from edgecompress.calibration import joined_workers
from edgecompress.errors import DataError, EdgecompressError

def part(rank):
    if rank == 1:
        {fault}
    return rank

with joined_workers() as workers:
    assert workers.exchange(lambda: workers.rank) == [0, 1]
    try:
        workers.exchange(lambda: part(workers.rank))
    except EdgecompressError as error:
        sys.exit(f"{{type(error).__name__}}: {{error}}")
"""


def test_two_processes_give_the_bytes_of_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "shared_data.py").write_text(DATA)
    options = [
        "--calibration",
        "shared_data.py:ragged",
        "--output",
        "out2",
        "--statistics",
        "statistics2.npz",
        *OPTIONS,
    ]
    first, second = run_twice("-m", "edgecompress", "compress", "nets.py:net", *options)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (
        "within budget (accuracy not measured: give --evaluation DATA with labels; 1 warning above): " in first.stdout
    )
    assert (second.stdout, second.stderr) == ("", "")
    alone = ["--calibration", "shared_data.py:ragged", "--output", "out1", "--statistics", "statistics1.npz"]
    assert main(["compress", "nets.py:net", *alone, *OPTIONS]) == 0, capsys.readouterr().err
    for name in ("model.onnx", "recipe.toml"):
        assert Path("out1", name).read_bytes() == Path("out2", name).read_bytes()
    assert Path("statistics1.npz").stat().st_size == Path("statistics2.npz").stat().st_size
    assert [path.name for path in project.glob("*-of-2")] == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise DataError('batch 3 is a text')", "InputError: worker 1 of 2 failed: batch 3 is a text"),
        ("raise OSError('disk gone')", "EdgecompressError: worker 1 of 2 failed: disk gone"),
        ("os._exit(9)", "EdgecompressError: worker 0 of 2 lost the others, one of which failed or did not answer"),
    ],
)
def test_a_worker_that_fails_does_not_hang_the_others(fault: str, words: str) -> None:
    first, second = run_twice("-c", EXCHANGE.format(fault=fault))
    assert first.returncode == 1
    assert second.returncode != 0
    assert words in first.stderr


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
