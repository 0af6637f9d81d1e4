"""``--cpu`` and ``cpu.emulate``: what is printed, what is kept, and the exit status."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import edgecompress
from edgecompress.cli import main
from tests.cli.test_commands import COMPRESS, LOOSE
from tests.networks import ConvNet, images, seeded

Emulator = Callable[[str], None]
SAFE = "quantization.scheme=fbgemm"
"""The emulators here are this machine's own Python, on whose CPU 8-bit products may saturate."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    budgets = ("budgets.min_compression_ratio=none", "budgets.min_speedup=none", "budgets.max_accuracy_drop=100")
    return edgecompress.compress(
        seeded(ConvNet),
        calibration=images(seed=1),
        evaluation=images(seed=2),
        output=tmp_path_factory.mktemp("other_cpus") / "bundle",
        overrides=("export.simplify=false", SAFE, *budgets),
    ).path


@pytest.fixture
def bundle(made: Path, project: Path, emulator: Emulator) -> Path:
    """A bundle that asks for no other CPU, and an emulator that is none."""
    emulator("RUN")
    return shutil.copytree(made, project / "out")


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_outcome_goes_into_the_bundle(
    project: Path, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator("RUN")
    emulate = ["--set", "cpu.emulate=['haswell']", "--set", SAFE, "--evaluation", "batches.py:evaluation"]
    assert main([*COMPRESS, *LOOSE, *emulate, "--output", "out"]) == 0
    printed = capsys.readouterr().out
    assert "  5. convert      model.ort, " in printed
    assert "  7. emulate      the artifact on haswell\n" in printed
    assert "other CPU" in printed
    bundle = project / "out"
    manifest = json.loads((bundle / "manifest.json").read_text())
    entry = manifest["cpus"]["haswell"]
    assert (entry["identical"], entry["sqnr_db"], entry["top1_agreement"]) == (True, 200.0, 1.0)
    assert entry["samples"] == min(100, manifest["data"]["evaluated_samples"])
    budgets = {check["budget"]: check for check in manifest["verdict"]["budgets"]}
    assert (budgets["min_cpu_agreement"]["limit"], budgets["min_cpu_agreement"]["outcome"]) == (1.0, "pass")
    assert json.loads((bundle / "report.json").read_text())["cpus"] == manifest["cpus"]
    assert "<h2>Other CPUs</h2>" in (bundle / "report.html").read_text()
    assert main(["validate", "out", "--json"]) == 0
    assert _json(capsys)["cpus"] == {"haswell": {**entry, "source": "recorded"}}


def test_validate_asks_other_cpus_anew(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "out", "--cpu", "haswell", "--cpu", "nehalem", "--json"]) == 0
    cpus = _json(capsys)["cpus"]
    assert {name: (each["identical"], each["source"]) for name, each in cpus.items()} == {
        "haswell": (True, "measured here"),
        "nehalem": (True, "measured here"),
    }
    assert cpus["haswell"]["samples"] == 4
    assert main(["validate", "out", "--cpu", "haswell", "--evaluation", "batches.py:evaluation"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    row = next(line for line in lines if line.startswith("haswell")).split()
    assert row[:3] == ["haswell", "yes", "identical"]


def test_a_changed_class_misses_the_budget_unless_it_is_loosened(
    bundle: Path, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator(f"{_mirror(bundle)}; RUN")
    assert main(["validate", "out", "--cpu", "haswell", "--json"]) == 1
    document = _json(capsys)
    assert not document["cpus"]["haswell"]["identical"]
    missed = [check["budget"] for check in document["verdict"]["budgets"] if check["outcome"] == "fail"]
    assert missed == ["min_cpu_agreement"]
    assert main(["validate", "out", "--cpu", "haswell", "--min-cpu-agreement", "0"]) == 0


def _mirror(bundle: Path) -> str:
    """A command that puts a model of the same inputs and the opposite scores in the artifact's place."""
    model = onnx.load(bundle / "model.onnx")
    name = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Neg", [name], ["mirrored"], name="mirror"))
    model.graph.output[0].name = "mirrored"
    onnx.save(model, bundle.parent / "mirrored.onnx")
    return f"cp '{bundle.parent}/mirrored.onnx' model.onnx"


def test_a_crash_is_a_line_that_names_the_cpu(
    bundle: Path, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator("kill -SEGV $$")
    assert main(["validate", "out", "--cpu", "haswell"]) == 1
    captured = capsys.readouterr()
    assert "haswell: qemu-x86_64 was ended by signal 11 (SIGSEGV)" in captured.out.splitlines()
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("name", "words"),
    [("haswell", "install QEMU's user-mode emulation"), ("hasswell", "did you mean 'haswell'? Known are nehalem")],
)
def test_what_is_missing_is_exit_2(
    project: Path, name: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    for command in (["validate", "out", "--cpu", name], [*COMPRESS, "--json", "--set", f"cpu.emulate=['{name}']"]):
        assert main(command) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert words in captured.err
