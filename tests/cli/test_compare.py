"""``edgecompress compare`` on the command line: a table of 80 columns, or JSON and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgecompress.cli import main
from edgecompress.cli.compare import print_comparison
from edgecompress.comparison import Comparison
from edgecompress.comparison.measured import Measured, Timing

QUICK = ["export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0"]
RUN = [
    *("compare", "nets.py:net", "--calibration", "batches.py:calibration", "--evaluation", "batches.py:evaluation"),
    *(word for setting in QUICK for word in ("--set", setting)),
]


def _row(key: str, title: str, ratio: float) -> Measured:
    timing = Timing(median_ms=0.8512, speedup=3.33, low=3.31, high=3.35, doubts=("interrupted",))
    figures = {"size_bytes": 104_190, "compression_ratio": ratio, "accuracy": 85.31, "accuracy_drop": -0.25}
    return Measured(key=key, title=title, digest="", timing=timing, **figures)  # type: ignore[arg-type]


def test_the_table_lines_up_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (_row("original", "original", 1.0), _row("pruned-int8", "pruned 50 % + INT8", 8.25))
    print_comparison(Comparison(folder=Path("out"), rows=rows, fresh=()))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "3.33x 3.31-3.35" in lines[2]
    assert lines[-3:-1] == ["original: interrupted", "pruned 50 % + INT8: interrupted"]
    assert [line.split("  ")[0] for line in lines[1:3]] == ["original", "pruned 50 % + INT8"]
    assert "2 of 2 rows kept from before" in lines[-1]


def test_the_front_is_told_by_titles(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (_row("original", "original", 1.0), _row("pruned-int8", "pruned 50 % + INT8", 8.25))
    measured = (replace(rows[0], metric_drop=0.0), replace(rows[1], metric_drop=-0.25))
    print_comparison(Comparison(folder=Path("out"), rows=measured, fresh=()))
    assert "not beaten in metric, latency and size: pruned 50 % + INT8" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("verdict", "drop"), [("no difference", "none"), ("too few samples to say", "open"), ("worse", "-0.25")]
)
def test_a_drop_that_may_be_chance_is_said_in_a_word(
    verdict: str, drop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = replace(_row("pruned-int8", "pruned 50 % + INT8", 8.25), metric_verdict=verdict)
    print_comparison(Comparison(folder=Path("out"), rows=(row,), fresh=("pruned-int8",)))
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[-1] == drop
    assert ("drop: none or open where its 95 % interval" in printed) is (verdict != "worse")


@pytest.mark.usefixtures("project")
def test_json_says_what_was_measured_now(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--json"]) == 0
    first = json.loads(capfd.readouterr().out)
    assert first["measured_now"] == ["original", "pruned", "int8", "distilled", "low-rank", "pruned-int8"]
    assert [row["key"] for row in first["rows"] if row["missing"] is None] == ["original", "int8"]
    assert main([*RUN, "--json"]) == 0
    again = json.loads(capfd.readouterr().out)
    assert again["measured_now"] == []
    assert again["rows"] == first["rows"]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "prunde:training.epochs=3"], "there is no row 'prunde'; did you mean 'pruned'"),
        (["--set", "int8:cpu.threads=fast"], "expected whole number, got 'fast' in 'cpu.threads'"),
        (["--train", "nothing.npz"], "nothing.npz"),
        (["--recipe", "int8.toml"], "there is another row 'int8'; call 'int8.toml' otherwise"),
        (["--recipe", "nothing.toml"], "nothing.toml"),
        (["--output", "nets.py"], "cannot be used"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, *arguments]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert told in shown.err.splitlines()[-1]
