"""No session that runs here has more threads than there are cores, whatever the target asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

import edgecompress
from tests.networks import ConvNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10", "cpu.threads=3", "quantization.adaround=false")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads of every session that is opened from now on, on a machine of a single core; 0 is all cores."""
    threads: list[int] = []
    inner = ort.InferenceSession

    def seen(source: Any, sess_options: ort.SessionOptions | None = None, **options: Any) -> ort.InferenceSession:
        threads.append(0 if sess_options is None else sess_options.intra_op_num_threads)
        return inner(source, sess_options=sess_options, **options)

    monkeypatch.setattr("onnxruntime.InferenceSession", seen)
    monkeypatch.setattr("edgecompress.targets.cpus.available_cores", lambda: 1)
    return threads


def test_a_bundle_is_timed_with_the_cores_that_there_are(opened: list[int], tmp_path: Path) -> None:
    made = [
        edgecompress.compress(
            seeded(ConvNet), calibration=images(seed=seed), overrides=QUICK, output=tmp_path / str(seed)
        )
        for seed in (1, 2)
    ]
    for bundle in made:
        assert bundle.manifest.metrics["latency_ms"]["threads"] == 1
        assert bundle.manifest.recipe["cpu"]["threads"] == 3  # which the device has
    edgecompress.validate(made[0], original=made[1].artifact)
    assert edgecompress.diff(*made).latency.threads == 1
    assert {*opened} <= {0, 1}


def test_a_comparison_is_timed_with_them(opened: list[int], tmp_path: Path) -> None:
    edgecompress.compare(seeded(ConvNet), calibration=images(seed=1), overrides=QUICK, output=tmp_path / "rows")
    assert {*opened} <= {0, 1}
