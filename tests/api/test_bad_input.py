"""What cannot be used is told in one line, in Python's words, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import edgecompress as ec
from tests.networks import ConvNet, images, seeded

ANY: Any = 3
NET, DATA = seeded(ConvNet), images()
NO_BUNDLE = "bundle 'gone' does not exist; give a folder that compress wrote"
BUDGET = "a student is derived to meet a latency budget; give a teacher, or give overrides=['budgets.min_speedup=2']"
NO_NETWORK = "the model is an int; give a torch.nn.Module, a torch.export.ExportedProgram or an onnx_ir.Model"


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: ec.validate(ANY), "bundle is 3; give a path"),
        (lambda: ec.validate("gone"), NO_BUNDLE),
        (lambda: ec.read_bundle("gone"), NO_BUNDLE),
        (lambda: ec.validate("gone", cpu="haswell"), "cpu is 'haswell'; give a list of CPUs"),
        (lambda: ec.validate("gone", original=ANY), "original is 3; give a path"),
        (
            lambda: ec.compress(NET),
            "there is no data to capture the model with; give calibration: file.py:callable that returns batches, an"
            " .npy or .npz file, or a folder of pictures",
        ),
        (
            lambda: ec.compress(NET, target="mobile", evaluation=DATA),
            "static quantization needs calibration data; give calibration",
        ),
        (
            lambda: ec.compress(NET, calibration=DATA, overrides=["zzz=1"]),
            "unknown key 'zzz'; load_profile(NAME).recipe has the keys",
        ),
        (
            lambda: ec.compress(NET, target="cloud", overrides=["distillation.enabled=true", "pruning.enabled=false"]),
            BUDGET,
        ),
        (lambda: ec.compare(ANY, calibration=DATA), NO_NETWORK),
        (
            lambda: ec.compare(NET, calibration=DATA, weights="net.safetensors"),
            "weights are for a model that is given by its name; load them into the module",
        ),
        (lambda: ec.compare(NET, calibration=None), "rows are made with calibration data; give calibration"),  # type: ignore[arg-type]
        (lambda: ec.compare(NET, calibration=DATA, output=ANY), "output is 3; give a path"),
        (
            lambda: ec.compare(NET, calibration=DATA, output="."),
            "'.' holds other things, 'batches.py' for one; choose an empty folder (output)",
        ),
        (lambda: ec.inspect(ANY), NO_NETWORK),
        (lambda: ec.inspect("gone.onnx"), "model file 'gone.onnx' does not exist; check the path"),
        (
            lambda: ec.benchmark("gone.py:net"),
            "model file 'gone.py:net' does not exist; it is code, and this takes ONNX files: edgecompress compress"
            " gone.py:net --target mobile --set quantization.enabled=false --calibration DATA --output float writes"
            " float/model.onnx",
        ),
        (
            lambda: ec.inspect(Path("gone.onnx"), weights="w.pt"),
            "weights 'w.pt' are for a module, and 'gone.onnx' holds its own; leave weights out",
        ),
        (lambda: ec.inspect(NET, sensitivity=True), "sensitivity runs the model on data; give calibration"),
        (
            lambda: ec.inspect(NET, sensitivity=True, calibration=DATA, metric="f1"),
            "a metric is measured on data with labels; give evaluation",
        ),
        (
            lambda: ec.inspect(NET, evaluation=DATA),
            "layers are measured on evaluation data for sensitivity only; give it, too",
        ),
        (lambda: ec.benchmark("model.onnx"), "model file 'model.onnx' does not exist; check the path"),
        (lambda: ec.benchmark(ANY), "models is 3; give a list of ONNX files, models or bundles"),
        (
            lambda: ec.benchmark(nn.Linear(1, 1)),  # type: ignore[arg-type]
            "models is a Linear; give a list of ONNX files, models or bundles",
        ),
        (lambda: ec.read_bundle(nn.Linear(1, 1)), "bundle is a Linear; give a path"),  # type: ignore[arg-type]
        (
            lambda: ec.compress(NET, calibration=DATA, weights="net.safetensors"),
            "weights are for a model that is given by its name; load them into the module",
        ),
        (lambda: ec.compress("gone.onnx", calibration=DATA), "model file 'gone.onnx' does not exist; check the path"),
        (lambda: ec.compress("gone.py:net", "mobile"), "file 'gone.py' does not exist; check the path"),
        (
            lambda: ec.compress(NET, "mobile", calibration=DATA, teacher="gone.py:net"),
            "file 'gone.py' does not exist; check the path",
        ),
        (
            lambda: ec.benchmark([nn.Linear(1, 1)]),  # type: ignore[list-item]
            "a Linear cannot be timed; give an ONNX file, an onnx_ir.Model or a bundle",
        ),
        (lambda: ec.benchmark(["gone.onnx"]), "model file 'gone.onnx' does not exist; check the path"),
        (lambda: ec.benchmark(["gone.onnx"], threads=0), "threads is 0; give 1 to 256"),
        (lambda: ec.benchmark(["gone.onnx"], runs=9), "runs is 9; give at least 10"),
        (lambda: ec.benchmark(["gone.onnx"], batch_size=ANY), "batch_size is 3; give a list of batch sizes"),
        (lambda: ec.benchmark(["gone.onnx"], batch_size=[0]), "batch_size is 0; give 1 to 65536"),
        (
            lambda: ec.recommend(cpu=ANY),
            "cpu is 3; give the name of a CPU, of a family of CPUs, or of a device",
        ),
        (lambda: ec.recommend(train_data=ANY), "train_data is 3; give True, False or None"),
        (
            lambda: ec.recommend(max_size_mb="small"),  # type: ignore[arg-type]
            "expected number, got 'small' in 'max_size_mb'; write a number, or none to leave it out",
        ),
        (lambda: ec.recommend(measure=True), "there is nothing to measure; give the model too"),
        (lambda: ec.recommend(model=NET), "the model is measured on calibration data; give calibration"),
        (
            lambda: ec.recommend(float_latency_ms=3),
            "float_latency_ms is the latency of a model; give the model too",
        ),
        (
            lambda: ec.recommend(model=NET, calibration=DATA, float_latency_ms=0),
            "float_latency_ms is 0; give milliseconds, above 0",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_python_s_words(mistake: Callable[[], object], told: str, project: Path) -> None:
    with pytest.raises(ec.InputError) as caught:
        mistake()
    assert str(caught.value) == told
    assert sorted(path.name for path in project.iterdir() if path.suffix) == ["batches.py", "nets.py"]


def test_a_limit_is_told_by_the_name_of_the_argument(small_bundle: Path) -> None:
    with pytest.raises(ec.RecipeError) as caught:
        ec.validate(small_bundle, max_size_mb=-1)
    assert str(caught.value) == "expected a value that is greater than 0, got -1 in 'max_size_mb'"
