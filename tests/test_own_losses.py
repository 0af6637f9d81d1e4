"""A segmenter and a detector of two outputs are pruned and taught by a loss and a loader alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest
import torch

import edgecompress
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.cli.app import main
from edgecompress.errors import RecipeError
from edgecompress.loading.user_code import resolve
from edgecompress.recipe.tables import Recipe, parse_recipe

FREE = ("min_speedup", "min_compression_ratio", "min_metric_kept", "max_accuracy_drop")
QUICK = (
    *("export.simplify=false", "cpu.runs=10", "report.examples=0", "training.epochs=1", "pruning.multiple=4"),
    *("pruning.spread=uniform", "quantization.adaround=false", "quantization.bias_correction=false"),
    *("quantization.fallback_evaluations=0", *(f"budgets.{name}=none" for name in FREE)),
)
NETS = """
import torch
from torch import nn

def convolved(inputs, outputs, stride):
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())

class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(convolved(3, 16, 1), convolved(16, 16, 1)), nn.Conv2d(16, 3, 1)
    def forward(self, image): return self.head(self.body(image))

class Detector(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(convolved(3, width, 2), convolved(width, width, 2))
        self.boxes, self.scores = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 2, 1)
    def forward(self, image):
        seen = self.body(image)
        return {"boxes": self.boxes(seen).flatten(2), "scores": self.scores(seen).flatten(2)}

def seeded(kind, *sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(*sizes).eval()

def segmenter(): return seeded(Segmenter)
def detector(): return seeded(Detector, 16)
def small(): return seeded(Detector, 8)

def images():
    generator = torch.Generator().manual_seed(1)
    return [torch.rand((8, 3, 16, 16), generator=generator) for _ in range(2)]

def masks():
    found = []
    for image in images():
        mask = (image[:, 0] * 3).long().clamp(max=2).to(torch.uint8)
        mask[:, :4] = 255
        found.append((image, mask))
    return found

def boxes():
    generator = torch.Generator().manual_seed(2)
    drawn = [torch.rand((row % 3, 4), generator=generator) for row in range(8)]
    return [(image, [{"boxes": box, "name": str(row)} for row, box in enumerate(drawn)]) for image in images()]

seen = []

def detection_loss(outputs, targets):
    seen.append((sorted(outputs), [target["name"] for target in targets]))
    total = outputs["scores"].sigmoid().mean()
    for box, target in zip(outputs["boxes"], targets):
        if len(target["boxes"]):
            total = total + (box.mean(1) - target["boxes"].mean(0)).abs().mean() / len(targets)
    return total

class DetectionLoss:
    def __call__(self, outputs, targets): return detection_loss(outputs, targets)

def not_a_number(outputs, targets): return detection_loss(outputs, targets) * float("nan")
def by_sample(outputs, targets): return outputs["scores"].mean((1, 2))
def by_name(outputs, targets): return outputs["masks"].mean()
def measured(outputs, targets): return outputs["scores"].detach().sigmoid().mean()
def of_outputs(outputs): return outputs["scores"].mean()
nothing = 3
"""
SETS = [part for key in QUICK for part in ("--set", key)]
DETECTOR = ("compress", "finders.py:detector", "--calibration", "finders.py:images", "--train", "finders.py:boxes")


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "finders.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    resolve("finders.py:segmenter", RecipeError, "model")
    yield sys.modules["finders"]
    del sys.modules["finders"]


def _recipe(bundle: Bundle) -> Recipe:
    return parse_recipe(bundle.manifest.recipe)


def _integer_layers(bundle: Bundle) -> int:
    return [node.op_type for node in ir.load(bundle.artifact).graph].count("QuantizeLinear")


def test_a_segmenter_recovers_and_is_measured_without_what_is_ignored(nets: Any) -> None:
    bundle = edgecompress.compress(
        nets.segmenter(),
        target="edge",
        calibration=nets.images(),
        evaluation=nets.masks(),
        train=nets.masks(),
        metric="miou",
        loss="cross_entropy",
        overrides=[*QUICK, "training.ignore_index=255"],
        output="masks",
    )
    assert (_recipe(bundle).training.loss, _recipe(bundle).training.ignore_index) == ("cross_entropy", 255)
    assert bundle.manifest.metrics["metric"]["compressed"] > 0
    assert _integer_layers(bundle) > 0


def test_a_detector_of_two_outputs_recovers_by_a_loss_of_its_own(nets: Any) -> None:
    chosen = ["--loss", "finders.py:detection_loss", "--set", "distillation.output_weights.boxes=0.5"]
    assert main([*DETECTOR, "--target", "edge", *SETS, *chosen, "--output", "boxes"]) == 0
    bundle = read_bundle(Path("boxes"))
    assert _recipe(bundle).training.loss == "finders.py:detection_loss"
    assert _integer_layers(bundle) > 0
    assert {tuple(names) for names, _ in nets.seen} == {("boxes", "scores")}
    assert ["0", "1", "2", "3", "4", "5", "6", "7"] in [rows for _, rows in nets.seen]


def test_a_small_detector_learns_from_a_large_one(nets: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = edgecompress.compress(
        nets.small(),
        target="realtime",
        teacher=nets.detector(),
        calibration=nets.images(),
        train=nets.boxes(),
        loss=nets.DetectionLoss,
        overrides=QUICK,
        output="small",
    )
    assert bundle.passed
    assert _recipe(bundle).training.loss == "finders:DetectionLoss"
    assert nets.seen


def test_numbers_that_a_loss_reads_measure_no_accuracy(nets: Any) -> None:
    with torch.no_grad():
        train = [(image, nets.segmenter()(image)) for image in nets.images()]
    bundle = edgecompress.compress(
        nets.segmenter(), target="cloud", train=train, loss="smooth_l1", overrides=QUICK, output="numbers"
    )
    assert bundle.manifest.metrics["accuracy"]["compressed"] is None


def test_a_loss_that_nothing_asks_is_told(nets: Any, capsys: pytest.CaptureFixture[str]) -> None:
    named = [part for part in DETECTOR if part != "--train" and part != "finders.py:boxes"]
    assert main([*named, "--target", "mobile", *SETS, "--loss", "mse", "--output", "small"]) == 0
    assert "the loss is not asked: no technique of this recipe trains" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ("finders.py:gone", "'finders.py' has no callable 'gone'; name one that it has"),
        ("lost.py:loss", "file 'lost.py' does not exist; check the path"),
        ("finders.py:nothing", "'finders.py:nothing' is an int, not a callable; name a function"),
        (
            "finders.py:of_outputs",
            "loss 'finders.py:of_outputs' cannot be called with (outputs, targets); give a function (outputs, targets)"
            " -> scalar tensor, an object that is called so, or its class",
        ),
        (
            "finders.py:not_a_number",
            "the first train batch: the loss is nan before the first step; look at that batch and at what the network"
            " answers to it, or repair the loss",
        ),
        (
            "finders.py:by_sample",
            "the first train batch: loss 'finders.py:by_sample' gives torch.float32 (8,); return a tensor of one"
            " number, the mean over the batch",
        ),
        (
            "finders.py:by_name",
            "the first train batch: loss 'finders.py:by_name' raised KeyError: 'masks'; repair it: it is given outputs"
            " a dict, and targets a list of 8, the first a dict",
        ),
        (
            "finders.py:measured",
            "the first train batch: loss 'finders.py:measured' has no gradient; compute it from the outputs with"
            " PyTorch, without detach(), item() or NumPy",
        ),
        (
            "cross_entropy",
            "the first train batch: labels are a list that is no array of numbers; give such an array, or a loss that"
            " reads them",
        ),
    ],
)
def test_a_loss_that_cannot_be_learned_by_is_one_line_and_writes_nothing(
    nets: Any, capsys: pytest.CaptureFixture[str], loss: str, told: str
) -> None:
    before = sorted(Path.cwd().iterdir())
    assert main([*DETECTOR, "--target", "edge", *SETS, "--loss", loss, "--output", "boxes"]) == 2
    assert capsys.readouterr().err == f"error: {told}\n"
    assert [path for path in sorted(Path.cwd().iterdir()) if path.name != "__pycache__"] == before
