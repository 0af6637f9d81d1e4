"""A planted dead slice is refused wherever outputs are compared: one class, one channel of a mask, one output."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

import edgecompress
from edgecompress.bundle.manifest import dump_manifest, file_entry, parse_manifest
from edgecompress.bundle.revalidation import revalidate
from edgecompress.data.splits import Streams
from edgecompress.errors import ParityError
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import convert
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Cpu, Export, Quantization, Recipe
from edgecompress.runtime import signature, to_bytes
from edgecompress.step import Stage, StepResult
from edgecompress.techniques.context import Context
from edgecompress.validation import gather, judge, measures
from tests.networks import images

PLANTED = {"found[:, 5]": ("found", 5), "mask[:, 1]": ("mask", 1), "kind": ("kind", None)}
"""The name of what is lost; the output, and the index along axis 1, that is multiplied by zero."""
RECIPE = Recipe(quantization=Quantization(enabled=True), export=Export(simplify=False))
QUICK = ("export.simplify=false", "cpu.runs=10", "budgets.min_compression_ratio=none")
LIMITS = ("budgets.min_speedup=none", "budgets.max_accuracy_drop=none")


class Detector(nn.Module):
    """Boxes in pixels and scores in one output, a mask, and a class for the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
        self.boxes, self.scores, self.mask = (nn.Conv2d(16, channels, 1) for channels in (4, 3, 3))
        self.kind = nn.Linear(16, 6)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features = self.body(image)
        found = torch.cat([16 * self.boxes(features), self.scores(features).sigmoid()], dim=1)
        return {"found": found.flatten(2), "mask": self.mask(features), "kind": self.kind(features.mean((2, 3)))}


def _detector() -> nn.Module:
    torch.manual_seed(0)
    return Detector().eval()


def _silence(output: str, index: int | None) -> Callable[[ir.Model], None]:
    """Multiply an output, or one index of its axis 1, by zero."""

    def change(model: ir.Model) -> None:
        place = next(place for place, value in enumerate(model.graph.outputs) if value.name == output)
        value = model.graph.outputs[place]
        assert value.shape is not None
        factors = np.ones((1, int(str(value.shape[1])), *[1] * (len(value.shape) - 2)), np.float32)
        factors[:, slice(None) if index is None else index] = 0
        factor = ir.Value(name="factor", const_value=ir.tensor(factors, name="factor"))
        model.graph.register_initializer(factor)
        node = ir.node("Mul", [value, factor], name="silencer")
        model.graph.append(node)
        node.outputs[0].shape, node.outputs[0].type = value.shape, value.type
        value.name, node.outputs[0].name = "inner", output
        model.graph.outputs[place] = node.outputs[0]

    return change


def _convert(recipe: Recipe = RECIPE) -> Any:
    network = _detector()
    batches = open_batches(images(), "calibration", network, recipe)
    return convert(network, Context(recipe=recipe, example=batches.first(), streams=Streams(calibration=batches)))


def test_without_a_fault_nothing_is_lost() -> None:
    for step in _convert().done:
        assert step.agreement.lost() == ()
        assert step.agreement.top1_agreement is None  # nothing shows that the first output holds classes


@pytest.mark.parametrize("lost", PLANTED)
@pytest.mark.parametrize(
    ("step", "function", "place"),
    [
        ("export", "to_onnx", "pipeline.to_onnx"),
        ("canonicalize", "prepare_for_integers", "pipeline.to_onnx"),
        ("quantize", "quantize_static", "techniques.steps.quantization"),
    ],
)
def test_a_dead_slice_is_refused_at_its_own_step(
    step: str, function: str, place: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"edgecompress.{place}")
    run = getattr(module, function)

    def spoiled(*args: Any, **kwargs: Any) -> Any:
        made = run(*args, **kwargs)
        _silence(*PLANTED[lost])(made.model if isinstance(made, StepResult) else made)
        return made

    monkeypatch.setattr(module, function, spoiled)
    monkeypatch.setattr("edgecompress.techniques.steps.quantization.GARBAGE_DB", -200.0)
    recipe = RECIPE.model_copy(update={"export": RECIPE.export.model_copy(update={"min_sqnr_db": 1e-3})})
    with pytest.raises(ParityError) as caught:
        _convert(recipe)
    told = str(caught.value)
    assert f"step {step!r} changed what the model computes" in told
    assert repr(lost) in told or (lost == "kind" and "dB agreement" in told)


@pytest.mark.parametrize("lost", PLANTED)
def test_a_slice_that_died_on_the_way_misses_the_budget(lost: str) -> None:
    conversion = _convert(Recipe(export=Export(simplify=False)))
    dead = conversion.artifact.clone()
    _silence(*PLANTED[lost])(dead)
    batches = open_batches(images(), "calibration", _detector(), RECIPE)
    stages = [Stage(name="original", content=to_bytes(conversion.artifact)), Stage(name="last", content=to_bytes(dead))]
    fitted = replace(batches, signature=signature(conversion.artifact))
    evidence = gather(stages, fitted, Cpu(runs=10), Progress())
    assert evidence.lost == (lost,)
    assert any(doubt.startswith(f"{lost!r} carries signal in the float model") for doubt in evidence.doubts)
    assert [check.budget for check in judge(RECIPE.budgets, measures(evidence)).missed] == ["max_lost_slices"]
    whole = gather([stages[0], stages[0]], fitted, Cpu(runs=10), Progress())
    assert whole.lost == ()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("lost") / "bundle"
    made = edgecompress.compress(_detector(), calibration=images(), output=output, overrides=(*QUICK, *LIMITS))
    assert made.passed
    return made.path


@pytest.fixture(params=PLANTED)
def dead(request: pytest.FixtureRequest, bundle: Path, tmp_path: Path) -> tuple[str, Path]:
    """A bundle whose artifact lost a slice after it was written, with a manifest that fits it."""
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    model = ir.load(folder / "model.onnx")
    _silence(*PLANTED[request.param])(model)
    (folder / "model.onnx").write_bytes(to_bytes(model))
    manifest = parse_manifest((folder / "manifest.json").read_bytes())
    files = {**manifest.files, "model.onnx": file_entry((folder / "model.onnx").read_bytes())}
    (folder / "manifest.json").write_bytes(dump_manifest(manifest.model_copy(update={"files": files})))
    return request.param, folder


def test_the_self_test_refuses_it(dead: tuple[str, Path]) -> None:
    lost, folder = dead
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "selftest.py")], capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert set(report["files"].values()) == {"ok"}
    assert report["parity"]["lost"] == [lost]
    assert report["parity"]["top1_agreement"] is None


def test_validate_refuses_it(dead: tuple[str, Path], bundle: Path) -> None:
    lost, folder = dead
    found = revalidate(folder, {}, evaluation=None, original=None, on=(), progress=Progress())
    assert not found.passed
    assert found.lost == (lost,)
    assert found.document()["lost"] == [lost]
    assert [check.budget for check in found.verdict.missed] == ["max_lost_slices"]
    assert revalidate(bundle, {}, evaluation=None, original=None, on=(), progress=Progress()).passed
