"""A trained detector with a metric of its own, on real pictures; skipped where it is not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.cli.app import main

METRIC = "detection.py:mean_average_precision"
DATA = ("--calibration", "detection.py:calibration", "--evaluation", "detection.py:validation", "--metric", METRIC)
QUICK = (
    *("export.simplify=false", "cpu.runs=10", "report.examples=0"),
    *("quantization.adaround=false", "quantization.fallback_evaluations=0"),
    *(f"budgets.{name}=none" for name in ("min_speedup", "min_compression_ratio", "max_accuracy_drop")),
    *("evaluation.unit=%", "evaluation.higher_is_better=true"),
)


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
