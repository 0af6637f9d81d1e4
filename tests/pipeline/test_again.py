"""The command in a report names what was given, and asks for what it cannot name."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from torch import nn

import edgecompress
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.pipeline.again import command_again
from tests.networks import ConvNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0")


def test_objects_have_no_names_and_those_of_the_recipe_are_left_to_it() -> None:
    by = MeasuredBy(metric=lambda outputs, targets: 0.0, loss="mse")
    command = command_again(nn.Linear(1, 1), {"calibration": [], "train": []}, teacher=nn.Linear(1, 1), by=by)
    assert shlex.split(command) == [
        *("edgecompress", "compress", "MODEL", "--weights", "FILE", "--target", "recipe.toml"),
        *("--calibration", "DATA", "--train", "DATA", "--teacher", "MODEL", "--teacher-weights", "FILE"),
        *("--loss", "mse"),
    ]


def test_names_with_blanks_are_quoted() -> None:
    command = command_again(Path("my nets/net.onnx"), {"evaluation": "my data.py:few"}, folder=Path("a bundle"))
    assert shlex.split(command)[2:] == [
        *("my nets/net.onnx", "--target", "a bundle/recipe.toml", "--evaluation", "my data.py:few")
    ]


@pytest.mark.parametrize("is_named", [True, False])
def test_a_report_of_a_run_in_python_tells_of_weights_and_evaluation(is_named: bool, project: Path) -> None:
    data: dict[str, object] = {"calibration": images(seed=1), "evaluation": "batches.py:evaluation"}
    made = edgecompress.compress(
        "nets.py:net" if is_named else seeded(ConvNet),
        output=project / "out",
        overrides=QUICK,
        **data,  # type: ignore[arg-type]
    )
    command = json.loads((made.path / "report.json").read_text())["command"]
    model = "nets.py:net" if is_named else "MODEL --weights FILE"
    data_words = "--calibration DATA --evaluation batches.py:evaluation"
    assert command == f"edgecompress compress {model} --target recipe.toml {data_words}"
