"""The second file of a bundle, which takes bytes: in a run, as the first one answers, and for data that are bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

import edgecompress
from edgecompress.cli import main
from tests.networks import ConvNet, LinearStack, images, seeded, vectors

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
QUICK = (
    *("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.placement=table"),
    *("quantization.fallback_evaluations=0", "export.image_input=uint8"),
)
NORMALIZED = (f"images.mean={list(MEAN)}", f"images.std={list(STD)}")


def _bytes(seed: int, rows: int = 16) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (rows, 16, 16, 3), np.uint8)


def _pictures(pixels: Any) -> Any:
    """As a user normalizes them, NHWC to NCHW."""
    floats = (pixels.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(floats.transpose(0, 3, 1, 2)))


def byte_pictures(seed: int) -> list[tuple[Any, Any]]:
    labels = torch.arange(16) % 10
    return [(_pictures(_bytes(seed + index)), labels) for index in range(3)]


def _made(output: Path, *overrides: str) -> edgecompress.Bundle:
    given = (*QUICK, *NORMALIZED, *overrides)
    data = {"calibration": byte_pictures(1), "evaluation": byte_pictures(7)}
    return edgecompress.compress(seeded(ConvNet), **data, overrides=given, output=output)  # type: ignore[arg-type]


def _run(file: Path, given: Any) -> Any:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    (spec,) = session.get_inputs()
    return session.run(None, {spec.name: given})[0]


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("entry", ["false", "true"])
def test_an_int8_artifact_answers_bytes_as_it_answers_floats(layout: str, entry: str, tmp_path: Path) -> None:
    bundle = _made(tmp_path / "made", f"export.image_layout={layout}", f"quantization.integer_entry={entry}")
    recorded = bundle.manifest.image_input
    given = _bytes(99)
    moved = given if layout == "nhwc" else np.ascontiguousarray(given.transpose(0, 3, 1, 2))
    expected = _run(bundle.artifact, _pictures(given).numpy())
    found = _run(bundle.path / recorded["file"], moved)
    assert recorded["layout"] == layout
    assert (recorded["mean"], recorded["std"], recorded["scaled"]) == (list(MEAN), list(STD), True)
    assert recorded["samples"] == 48
    assert recorded["sqnr_db"] >= 80
    assert np.array_equal(found, expected) if recorded["identical"] else np.allclose(found, expected, rtol=1e-4)
    assert edgecompress.read_bundle(bundle).manifest.files[recorded["file"]].size_bytes > 0
    edgecompress.validate(bundle)


def test_a_float_artifact_agrees_as_far_as_floats_round(tmp_path: Path) -> None:
    bundle = _made(tmp_path / "made", "quantization.enabled=false")
    recorded = bundle.manifest.image_input
    assert recorded["changes"] == ["features.0: its weights hold the deviation of the pictures"]
    assert recorded["sqnr_db"] > 100
    given = _bytes(5)
    expected = _run(bundle.artifact, _pictures(given).numpy())
    found = _run(bundle.path / recorded["file"], np.ascontiguousarray(given.transpose(0, 3, 1, 2)))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_bundle_without_it_has_one_file(tmp_path: Path) -> None:
    bundle = _made(tmp_path / "made", "export.image_input=float")
    assert bundle.manifest.image_input == {}
    assert "model.uint8.onnx" not in bundle.manifest.files


def test_data_that_are_no_bytes_end_before_any_work(tmp_path: Path) -> None:
    given = (*QUICK, *NORMALIZED)
    with pytest.raises(edgecompress.DataError, match=r"do not make of bytes; set those that your preprocessing has"):
        edgecompress.compress(seeded(ConvNet), calibration=images(seed=1), overrides=given, output=tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_file_that_answers_otherwise_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecompress.validation.byte_file.LEAST_DB", 201)
    with pytest.raises(edgecompress.ParityError) as caught:
        _made(tmp_path / "made")
    told = "model.uint8.onnx answers otherwise than the artifact; leave export.image_input out"
    assert str(caught.value) == told
    monkeypatch.setattr("edgecompress.validation.byte_file.fault_of", lambda _: "it is broken")
    with pytest.raises(edgecompress.EdgecompressError) as broken:
        _made(tmp_path / "made")
    assert str(broken.value) == "the artifact that takes bytes is not valid ONNX: it is broken"
    assert not (tmp_path / "made").exists()


def test_normalization_has_to_be_known(tmp_path: Path) -> None:
    with pytest.raises(edgecompress.RecipeError, match=r"nothing says how pictures are normalized"):
        edgecompress.compress(seeded(ConvNet), calibration=byte_pictures(1), overrides=QUICK, output=tmp_path / "made")


def test_a_network_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(edgecompress.ModelError, match=r"the model has no input of pictures"):
        edgecompress.compress(
            seeded(LinearStack), calibration=vectors(seed=1), overrides=(*QUICK, *NORMALIZED), output=tmp_path / "made"
        )
    assert not (tmp_path / "made").exists()


def test_the_command_says_how_both_files_agree(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "held.py").write_text(
        "from tests.validation.test_byte_file import byte_pictures\ndef calibration(): return byte_pictures(1)\n"
    )
    command = ["compress", "nets.py:net", "--calibration", "held.py:calibration", "--output", "made"]
    words = [word for assignment in (*QUICK, *NORMALIZED) for word in ("--set", assignment)]
    assert main([*command, *words]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[1:3] == ["bytes", "model.uint8.onnx,"] for line in lines)
    (told,) = [line for line in lines if line.startswith("model.uint8.onnx takes bytes, NCHW: ")]
    assert " on 48 samples; with preprocessing" in told
    assert max(map(len, lines[:-1])) <= 80
