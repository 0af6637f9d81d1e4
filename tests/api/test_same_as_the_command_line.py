"""What a function returns is what the command prints with ``--json``, for the same input."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgecompress
from edgecompress.cli import main
from tests.networks import ConvNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10")
FREE = (*QUICK, *(f"budgets.{limit}=none" for limit in ("min_compression_ratio", "min_speedup", "max_accuracy_drop")))
"""No budget is missed, so nothing is advised, which each of both says in its own words."""
SET, FREE_SET = ([word for each in given for word in ("--set", each)] for given in (QUICK, FREE))
MODEL = ("--model", "nets.py:net", "--calibration", "batches.py:calibration")
SEARCH = ("search", "nets.py:net", "--target", "mobile")
ON_A_BOARD = ("--cpu", "cortex-a72", "--max-latency-ms", "5")
CALLS: dict[str, tuple[list[str], Callable[[], Any]]] = {
    "validate": (
        ["validate", "made", "--evaluation", "batches.py:evaluation", "--max-size-mb", "2"],
        lambda: edgecompress.validate("made", evaluation=images(seed=2), max_size_mb=2),
    ),
    "diff": (
        ["diff", "made", "made", "--evaluation", "batches.py:evaluation", "--max-metric-loss", "1"],
        lambda: edgecompress.diff("made", "made", evaluation=images(seed=2), max_metric_loss=1),
    ),
    "compare": (
        ["compare", "nets.py:net", "--calibration", "batches.py:calibration", *SET, "--output", "rows"],
        lambda: edgecompress.compare(seeded(ConvNet), calibration=images(seed=1), overrides=QUICK, output="rows"),
    ),
    "search": (
        [*SEARCH, *MODEL[2:], "--evaluation", "batches.py:evaluation", *FREE_SET, "--trials", "1", "--output", "found"],
        lambda: edgecompress.search(  # by name, as the command that makes its choice again has them
            "nets.py:net",
            "mobile",
            calibration="batches.py:calibration",
            evaluation="batches.py:evaluation",
            overrides=FREE,
            trials=1,
            output="found",
        ),
    ),
    "inspect": (["inspect", "nets.py:net"], lambda: edgecompress.inspect(seeded(ConvNet))),
    "benchmark": (
        ["benchmark", "made/model.onnx", "made/model.onnx", "--runs", "10", "--batch-size", "2"],
        lambda: edgecompress.benchmark(["made/model.onnx", edgecompress.read_bundle("made")], runs=10, batch_size=[2]),
    ),
    "recommend": (
        ["targets", "recommend", *MODEL, *SET, *ON_A_BOARD],
        lambda: edgecompress.recommend(
            model=seeded(ConvNet), calibration=images(seed=1), overrides=QUICK, cpu="cortex-a72", max_latency_ms=5.0
        ),
    ),
}


@pytest.fixture
def even_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that is timed takes a millisecond."""
    ticks = itertools.count(step=1_000_000)
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(ticks))


@pytest.fixture
def made(project: Path, small_bundle: Path) -> Path:
    """The user's folder with a bundle in it."""
    return shutil.copytree(small_bundle, project / "made")


def _steady(document: Any) -> Any:
    """A document without what the system says differently each time: memory, and whether a row was kept."""
    unsteady = ("memory_bytes", "measured_now")
    if isinstance(document, dict):
        return {key: _steady(value) for key, value in document.items() if key not in unsteady}
    return [_steady(value) for value in document] if isinstance(document, list) else document


@pytest.mark.usefixtures("made", "even_clock")
@pytest.mark.parametrize("name", CALLS)
def test_a_record_is_what_the_command_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, call = CALLS[name]
    if name == "search":
        pytest.importorskip("optuna")
    record = call()
    capsys.readouterr()
    assert main([*command, "--json"]) in (0, 1)
    printed = _steady(json.loads(capsys.readouterr().out))
    assert _steady(json.loads(json.dumps(record.document()))) == printed
    assert printed
    assert type(record).__dataclass_params__.frozen
