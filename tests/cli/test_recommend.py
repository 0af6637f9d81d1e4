"""``edgecompress targets recommend`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecompress.cli import main
from edgecompress.units import milliseconds

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
    assert lines[:3] == [
        "1. mini-pc: quantization",
        "   much smaller model: made for x86-avx2; measured 3.5 to 3.9 times smaller;",
        "   needs no training data",
    ]
    assert any(line.split()[:2] == ["mobile", "cpu"] for line in lines)
    assert "mini-pc is first because of --max-size-mb 3 and --cpu haswell." in lines
    command = "edgecompress compress MODEL --target mini-pc --calibration DATA --evaluation DATA"
    assert lines[-1] == f"{command} --set 'images.size=[32, 32]' --set budgets.max_size_mb=3"


def test_what_was_not_given_is_explained_in_front_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECOMMEND, "--cpu", "raspberry-pi-4", "--max-size-mb", "3", "--train-data"]) == 0
    told = " ".join(_lines(capsys)[-5:-2])
    assert told.strip() == (
        "MODEL is your network: file.py:callable, or model.onnx. DATA is file.py:callable, a folder of pictures or an"
        " .npz file. That of --evaluation and --train has labels. Without --evaluation, accuracy is not measured."
    )


def test_only_what_was_not_given_is_explained(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECOMMEND, *MODEL]) == 0
    *_, text, more, _, command = _lines(capsys)
    assert f"{text} {more}" == (
        "DATA is file.py:callable, a folder of pictures or an .npz file. That of --evaluation has labels. Without"
        " --evaluation, accuracy is not measured."
    )
    assert " --evaluation DATA " in command
    assert main([*RECOMMEND, *MODEL, "--evaluation", "batches.py:evaluation"]) == 0
    assert not any("DATA" in line for line in _lines(capsys))


def test_masks_without_a_metric_are_told_before_a_command_is_copied(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "masks.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def net(): return nn.Conv2d(3, 4, 3, padding=1)\n"
        "def data(): return [(torch.randn(4, 3, 16, 16), torch.randint(0, 4, (4, 16, 16)))]\n"
    )
    given = ["--model", "masks.py:net", "--calibration", "masks.py:data", "--evaluation", "masks.py:data", *MODEL[4:]]
    told = (
        "the evaluation labels are masks of 16 x 16 places, where top-1 hardly counts small classes; give --metric miou"
    )
    for metric, expected in (([], True), (["--metric", "miou"], False)):
        assert main([*RECOMMEND, *given, *metric]) == 0
        assert (told in capsys.readouterr().err) is expected


def test_nothing_that_trains_comes_first_before_it_is_known_that_it_can(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*RECOMMEND, "--cpu", "raspberry-pi-4", "--max-size-mb", "3"]
    assert main(asked) == 0
    lines = _lines(capsys)
    assert lines[0] == "1. mobile: quantization"
    assert "Is there data to train on? With --train-data, raspberry-pi-4 comes first." in lines
    assert "--train" not in lines[-1]
    assert main([*asked, "--train-data"]) == 0
    lines = _lines(capsys)
    assert lines[0] == "1. raspberry-pi-4: pruning, then quantization"
    assert not any("data to train on?" in line for line in lines)
    assert " --train DATA " in lines[-1]
    assert main([*asked, "--json"]) == 0
    assert _json(capsys)["with_training"] == "raspberry-pi-4"
    assert main([*RECOMMEND, "--max-size-mb", "3", "--no-train-data", "--json"]) == 0
    assert _json(capsys)["with_training"] is None


def test_the_command_has_the_model_and_the_data_in_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--evaluation", "batches.py:evaluation", "--metric", "top5", "--no-train-data"]
    assert main([*RECOMMEND, *MODEL, *given]) == 0
    command = _lines(capsys)[-1]
    data = "--calibration batches.py:calibration --evaluation batches.py:evaluation"
    assert command.startswith(f"edgecompress compress nets.py:net --target mobile {data} --metric top5 --set ")


def test_the_command_for_a_strategy_has_what_the_board_needs(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*RECOMMEND, "--cpu", "raspberry-pi-5", "--train-data", "--max-latency-ms", "5"]
    assert main(asked) == 0
    lines = _lines(capsys)
    assert lines[0] == "1. realtime: distillation"
    assert lines[-1].endswith("--set cpu.isa=armv8.2-dotprod --set cpu.threads=4")
    assert main([*asked, "--set", "cpu.threads=2"]) == 0
    assert _lines(capsys)[-1].endswith("--set cpu.isa=armv8.2-dotprod --set cpu.threads=2")
    assert main([*asked, "--json"]) == 0
    edge = next(each for each in _json(capsys)["ranked"] if each["target"] == "edge")
    assert {"cpu.isa=armv8.2-dotprod", "cpu.threads=4", "quantization.scheme=qnnpack"} <= {*edge["settings"]}


def test_an_unknown_metric_or_loss_is_refused_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    for option, key in (("--metric", "evaluation.metric"), ("--loss", "training.loss")):
        assert main([*RECOMMEND, option, "no_such"]) == 2
        assert f"got 'no_such' in {key!r}" in capsys.readouterr().err


def test_a_limit_of_milliseconds_on_a_board_is_not_held_against_this_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = [*RECOMMEND, "--cpu", "raspberry-pi-4", "--max-latency-ms", "20"]
    assert main(asked) == 0
    lines = _lines(capsys)
    told = " ".join(" ".join(lines).split())
    assert "Whether 20 ms are kept on raspberry-pi-4 cannot be known here" in told
    assert "validate BUNDLE --max-latency-ms 20" in told
    assert "max_latency_ms=" not in lines[-1]
    assert main([*asked, "--json"]) == 0
    assert "cannot be known here" in _json(capsys)["not_known"]


def test_a_board_has_ratios_and_with_its_float_latency_milliseconds(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*RECOMMEND, *MODEL, "--no-train-data", "--cpu", "raspberry-pi-4", "--max-latency-ms", "20"]
    assert main(asked) == 0
    lines = _lines(capsys)
    assert "its latency there is not known" in lines[0]
    assert any("that is 20 ms if the float model takes up to " in line for line in lines)
    assert main([*asked, "--float-latency-ms", "30", "--json"]) == 0
    document = _json(capsys)
    assert document["float"]["latency_ms"] == 30
    assert document["not_known"] is None
    first = document["ranked"][0]["predicted"]
    assert first["latency_ms"] == pytest.approx(30 / first["speedup"])
    assert main([*asked, "--float-latency-ms", "30"]) == 0
    assert "budgets.min_speedup=1.5" in _lines(capsys)[-1]


def test_nothing_left_is_exit_1_and_says_what_to_loosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECOMMEND, "--max-accuracy-drop", "-1"]) == 1
    assert _lines(capsys)[0] == "no target is left; loosen max_accuracy_drop"
    assert main([*RECOMMEND, "--max-accuracy-drop", "-1", "--json"]) == 1
    assert _json(capsys)["ranked"] == []


def test_a_limit_within_the_error_of_the_prediction_is_uncertain_and_measured(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = ["--no-train-data", "--cpu", "raspberry-pi-5", "--float-latency-ms", "20"]
    assert main([*RECOMMEND, *MODEL, *board, "--json"]) == 0
    predicted = _json(capsys)["ranked"][0]["predicted"]["latency_ms"]
    asked = [*RECOMMEND, *MODEL, *board, "--max-latency-ms", f"{0.9 * predicted}"]
    why = f"{milliseconds(predicted)} predicted, and predictions err by up to 26 %"
    assert main([*asked, "--json"]) == 0
    assert _json(capsys)["ranked"][0]["uncertain"] == {"max_latency_ms": why}
    assert main(asked) == 0
    text = " ".join(" ".join(_lines(capsys)).split())
    assert f"max_latency_ms is uncertain: {why}; --measure tells more" in text
    assert main([*asked, "--measure"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"max_latency_ms is uncertain: {why} " in text
    assert "--measure" not in text
    assert main([*RECOMMEND, *MODEL, *board, "--max-latency-ms", f"{0.5 * predicted}"]) == 1
    assert "no target is left, even where predictions err; loosen train_data or max_latency_ms" in " ".join(
        " ".join(_lines(capsys)).split()
    )


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
        (["--max-size-mb", "-1"], "greater than 0, got -1.0 in 'budgets.max_size_mb'"),
        (["--max-latency-ms", "nan"], "a finite number, got nan in 'budgets.max_latency_ms'"),
        (["--set", "cpu.thread=1"], "did you mean 'cpu.threads'?"),
        (["--measure"], "there is nothing to measure; give the model (--model) too"),
        (["--calibration", "batches.py:calibration"], "give the model (--model) too"),
        (["--float-latency-ms", "5"], "--float-latency-ms is the latency of a model; give the model (--model) too"),
        ([*MODEL, "--float-latency-ms", "0"], "--float-latency-ms is 0.0; give milliseconds, above 0"),
        ([*MODEL, "--float-latency-ms", "nan"], "--float-latency-ms is nan; give milliseconds, above 0"),
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
