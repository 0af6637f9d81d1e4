"""A trained detector with a metric of its own, on real pictures; skipped where it is not at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.cli.app import main
from tests import detection_loss

METRIC = "detection.py:mean_average_precision"
DATA = ("--calibration", "detection.py:calibration", "--evaluation", "detection.py:validation", "--metric", METRIC)
QUICK = (
    *("export.simplify=false", "cpu.runs=10", "report.examples=0"),
    *("quantization.adaround=false", "quantization.fallback_evaluations=0", "quantization.placement=table"),
    *(f"budgets.{name}=none" for name in ("min_speedup", "min_compression_ratio", "max_accuracy_drop")),
    *("evaluation.unit=%", "evaluation.higher_is_better=true"),
)
RECOVERY = ("training.epochs=1", "training.learning_rate=0.003", "pruning.spread=uniform", "pruning.amount=0.1")
"""128 pictures are few: it is pruned little, and its weights move little."""


def _compressed(target: str, output: Path, *more: str) -> tuple[int, Bundle]:
    settings = [part for key in QUICK for part in ("--set", key)]
    status = main(
        [
            *("compress", "detection.py:detector", "--weights", "weights/detector.safetensors", "--target", target),
            *(*DATA, *settings, *more, "--output", str(output)),
        ]
    )
    return status, read_bundle(output)


@pytest.mark.parametrize("target", ["mobile", "mini-pc"])
def test_its_metric_decides_and_stands_everywhere(
    target: str, example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, bundle = _compressed(target, tmp_path / "bundle", "--set", "budgets.max_metric_drop=0.5")
    printed, metric = capsys.readouterr().out, bundle.manifest.metrics["metric"]
    report = json.loads((bundle.path / "report.json").read_text())
    assert status == 0
    assert (metric["name"], metric["original"]) == (METRIC, pytest.approx(34.39, abs=0.01))
    assert metric["drop"] <= 0.5
    assert report["metrics"]["metric"] == metric
    assert "mean_average_precision" in (bundle.path / "report.html").read_text()
    assert f"{metric['original']:.2f} %" in printed
    assert f"{metric['compressed']:.2f} %" in printed
    gate = ("validate", str(bundle.path), "--evaluation", "detection.py:validation", "--metric", METRIC)
    assert main([*gate, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["measures"]["metric"]
    assert again["source"] == "measured here"
    assert again["value"] == pytest.approx(metric["compressed"], abs=1e-6)


def test_it_is_pruned_and_taught_by_a_loss_of_one_s_own(example: Path, tmp_path: Path) -> None:
    loss = f"{detection_loss.__file__}:detector_loss"
    settings = [part for key in RECOVERY for part in ("--set", key)]
    given = ("--train", "detection.py:training", "--loss", loss, *settings)
    status, bundle = _compressed("edge", tmp_path / "bundle", *given)
    stages = {stage["name"]: stage for stage in json.loads((bundle.path / "report.json").read_text())["stages"]}
    assert status == 0
    assert bundle.manifest.recipe["training"]["loss"] == loss
    assert stages["prune"]["metric"] > 5  # hardly any answer is right by chance


def _answer(shape: tuple[int, int], box: list[float], label: int) -> torch.Tensor:
    """What a detector that is right says of a picture with one box."""
    height, width = shape
    found = torch.zeros(85, height, width)
    column, row = int(box[0] * width), int(box[1] * height)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    found[1], found[2] = (
        torch.atanh((box[0] * width - columns).clamp(-0.999, 0.999)).expand(height, width),
        torch.atanh((box[1] * height - rows).clamp(-0.999, 0.999)).expand(height, width),
    )
    found[3:5] = torch.logit(torch.tensor(box[2:]))[:, None, None]
    found[0, row : row + 2, column : column + 2] = 1
    found[5 + label] = 1
    return found


def test_the_loss_of_a_right_answer_is_none_and_of_others_more() -> None:
    box, shape = [0.4, 0.6, 0.3, 0.2], (22, 22)
    target: list[Any] = [np.array([[7, *box]], np.float32)]
    right = float(detection_loss.detector_loss(_answer(shape, box, 7)[None], target))
    elsewhere = float(detection_loss.detector_loss(_answer(shape, [0.2, 0.2, 0.3, 0.2], 7)[None], target))
    other = float(detection_loss.detector_loss(_answer(shape, box, 8)[None], target))
    assert right == pytest.approx(0, abs=1e-3)
    assert elsewhere > 1
    assert other > 1


def test_the_loss_of_a_picture_without_boxes_is_its_objectness() -> None:
    outputs = torch.full((2, 85, 4, 4), 0.5)
    outputs[1, 0] = 0
    loss = detection_loss.detector_loss(outputs, [np.zeros((0, 5), np.float32)] * 2)
    assert float(loss) == pytest.approx(16 * 0.5 * 0.5**2 / 2)  # half the square below 1, over two pictures
