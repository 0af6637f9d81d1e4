"""``edgecompress targets recommend`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecompress.cli import main

RECOMMEND = ["targets", "recommend"]
QUICK = ("export.simplify=false", "cpu.runs=20", "quantization.adaround=false")
MODEL = ["--model", "nets.py:net", "--calibration", "batches.py:calibration"]
MODEL += [word for assignment in QUICK for word in ("--set", assignment)]


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80  # the last is a command to copy
    return lines


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_it_ranks_and_says_why_and_which_command_follows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECOMMEND, "--cpu", "haswell", "--max-size-mb", "3", "--set", "images.size=[32, 32]"]) == 0
    lines = _lines(capsys)
    assert lines[:2] == ["1. mini-pc: quantization", "   much smaller model; decided by cpu, max_size_mb"]
    assert any(line.split()[:2] == ["mobile", "cpu"] for line in lines)
    command = "edgecompress compress MODEL --target mini-pc --calibration DATA --evaluation DATA"
    assert lines[-1] == f"{command} --set 'images.size=[32, 32]' --set budgets.max_size_mb=3"


def test_nothing_left_is_exit_1_and_says_what_to_loosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECOMMEND, "--max-accuracy-drop", "-1"]) == 1
    assert _lines(capsys)[0] == "no target is left; loosen max_accuracy_drop"
    assert main([*RECOMMEND, "--max-accuracy-drop", "-1", "--json"]) == 1
    assert _json(capsys)["ranked"] == []


def test_a_model_is_measured_and_predicted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECOMMEND, *MODEL, "--no-train-data", "--json"]) == 0
    document = _json(capsys)
    (only,) = document["ranked"]
    assert (only["target"], only["measured"]) == ("mobile", None)
    assert 2 < document["float"]["size_mb"] / only["predicted"]["size_mb"] < 4
    assert 1 < document["float"]["latency_ms"] / only["predicted"]["latency_ms"] < 4


def test_what_is_left_is_tried(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*RECOMMEND, *MODEL, "--evaluation", "batches.py:evaluation", "--no-train-data", "--measure"]
    assert main(command) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    headings = rows.index(["target", "predicted", "measured", "drop", "outcome"])
    assert rows[headings + 1][0] == "mobile"
    assert ["1.", "mobile:", "quantization"] in rows
    assert sorted(path.name for path in project.iterdir() if path.name != "__pycache__") == ["batches.py", "nets.py"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cpu", "hasswell"], "unknown CPU 'hasswell'; did you mean 'haswell'?"),
        (["--max-size-mb", "-1"], "greater than 0, got -1 in 'budgets.max_size_mb'"),
        (["--max-latency-ms", "nan"], "a finite number, got nan in 'budgets.max_latency_ms'"),
        (["--set", "cpu.thread=1"], "did you mean 'cpu.threads'?"),
        (["--measure"], "there is nothing to measure; give the model (--model) too"),
        (["--calibration", "batches.py:calibration"], "give the model (--model) too"),
        (["--model", "nets.py:net"], "give --calibration"),
        ([*MODEL, "--weights", "gone.safetensors"], "weights file 'gone.safetensors' does not exist"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    arguments: list[str], words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RECOMMEND, *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert (captured.out, len(captured.err.splitlines())) == ("", 1)
