"""The main job on trained models with real data; skipped where the example is not at hand."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path
from typing import Any

import onnx_ir as ir

import edgecompress
from edgecompress.loading.models import load_model
from edgecompress.quantization.fusion import optimized_graph

CLOUD = ("pruning.enabled=false", "quantization.enabled=true", "quantization.scheme=fbgemm")


def _batches(example: Path, name: str, count: int) -> list[Any]:
    spec = importlib.util.spec_from_file_location("example_data", example / "data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(islice(getattr(module, name)(), count))


def _operators(bundle: edgecompress.Bundle) -> list[str]:
    return [node.op_type for node in optimized_graph(ir.load(bundle.artifact))]


def test_resnet20_for_the_cloud(example: Path, tmp_path: Path) -> None:
    bundle = edgecompress.compress(
        load_model("models.py:resnet20", "weights/resnet20.safetensors"),
        target="cloud",
        overrides=CLOUD,
        calibration=_batches(example, "cifar10_calibration", 2),
        evaluation=_batches(example, "cifar10_test", 8),
        output=tmp_path / "bundle",
    )
    operators = _operators(bundle)
    assert operators.count("QLinearConv") == 18 + 2  # the shortcuts without parameters are convolutions too
    assert operators.count("QLinearAdd") == 9
    assert operators.count("Conv") == 1  # the first one, over three channels
    assert not {"FusedConv", "Add"} & set(operators)
    accuracy = bundle.manifest.metrics["accuracy"]
    assert accuracy["original"] > 80
    assert accuracy["drop"] <= 1.0  # on a part of the images; one image of 1,000 is 0.1 points


def test_mobilenet_for_mobile(example: Path, tmp_path: Path) -> None:
    bundle = edgecompress.compress(
        load_model("models.py:mobilenet_v1", "weights/mobilenet_v1.safetensors"),
        target="mobile",
        calibration=_batches(example, "imagenet_calibration", 4),
        evaluation=_batches(example, "imagenet_validation", 4),
        output=tmp_path / "bundle",
    )
    operators = _operators(bundle)
    assert operators.count("QLinearConv") == 25
    assert operators.count("Conv") + operators.count("FusedConv") == 2  # at the entry, over 3 and 24 channels
    metrics = bundle.manifest.metrics
    assert metrics["accuracy"]["original"] > 65
    assert metrics["accuracy"]["drop"] <= 3.0  # on 200 images; one is half a point
    assert metrics["size_bytes"]["ratio"] >= 3.6
