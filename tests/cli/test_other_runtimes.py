"""``--on`` and ``validation.on``: what is printed, what is kept, and the exit status."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import edgecompress
from edgecompress.bundle.reading import read_bundle
from edgecompress.cli import main
from edgecompress.registry import RUNTIMES
from edgecompress.validation.elsewhere.runtimes.browser import WEB
from tests.cli.test_commands import COMPRESS, LOOSE
from tests.installing import install_package
from tests.networks import ConvNet, images, seeded

Install = Callable[[str], None]
PARTLY = """
from edgecompress.validation.elsewhere.place import Handling, RunNode

NODES = [
    RunNode(name="conv", operator="Conv", unit="NPU", precision="u8", macs=90),
    RunNode(name="head", operator="Gemm", unit="CPU", precision="f32", macs=10, why="no float outputs"),
    RunNode(name="view", operator="Reshape", unit="CPU", precision="f32", macs=0),
]
whole.handling = Handling(unit="NPU")
"""
HOST = """
from edgecompress.runtime import open_session, run_session
from edgecompress.validation.elsewhere.place import Answer

NODES = []

class Host:
    def run(self, model, batches):
        session = open_session(model, 1)
        (name,) = [spec.name for spec in session.get_outputs()]
        outputs = [{name: CHANGED(run_session(session, inputs)[0])} for inputs in batches]
        return Answer(outputs=outputs, ran_on={"host": "3.1"}, nodes=NODES)

def whole(device):
    return Host()
"""
MINE = "runtime 'mine' of package 'my-package'"
ON = ("--on", "mine", "--evaluation", "batches.py:evaluation")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with runtime ``mine``."""

    def put(text: str) -> None:
        install_package(tmp_path / "mine", monkeypatch, RUNTIMES.group, ("my-package", "mine"), text)

    return put


def _host(changed: str = "") -> str:
    return HOST.replace("CHANGED", changed)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    overrides = ("export.simplify=false", "cpu.runs=10", "quantization.scheme=fbgemm", 'export.formats=["onnx"]')
    budgets = ("budgets.min_compression_ratio=none", "budgets.min_speedup=none", "budgets.max_accuracy_drop=none")
    folder = tmp_path_factory.mktemp("other_runtimes") / "bundle"
    return edgecompress.compress(
        seeded(ConvNet), calibration=images(seed=1), output=folder, overrides=(*overrides, *budgets)
    ).path


@pytest.fixture
def bundle(made: Path, project: Path) -> Path:
    """A bundle that asks for no other place."""
    return shutil.copytree(made, project / "out")


def _missed(document: Any) -> list[str]:
    return [check["budget"] for check in document["verdict"]["budgets"] if check["outcome"] == "fail"]


def test_the_outcome_goes_into_the_bundle(project: Path, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install(_host())
    main([*COMPRESS, *LOOSE, *ON, "--output", "out"])
    lines = capsys.readouterr().out.splitlines()
    assert "  7. run          the artifact on mine" in lines
    heading, row = (line.split() for line in lines if line.startswith(("runtime ", "mine ")))
    assert heading[:3] == ["runtime", "identical", "agreement"]
    manifest = read_bundle(project / "out").manifest
    entry = manifest.runtimes["mine"]
    assert row[-1] == str(entry["samples"]) == str(min(100, manifest.data["evaluated_samples"]))
    assert (entry["outcome"], entry["ran_on"], entry["failure"]) == ("ran", {"host": "3.1"}, None)
    budgets = {check.budget: check.limit for check in manifest.verdict.budgets}
    assert budgets["min_runtime_agreement"] == 1.0
    assert manifest.recipe["validation"] == {"on": ["mine"], "samples": 100}
    assert json.loads((project / "out" / "report.json").read_text())["runtimes"] == manifest.runtimes
    page = (project / "out" / "report.html").read_text()
    assert "<h2>Other runtimes</h2>" in page
    assert "host 3.1" in page
    capsys.readouterr()
    main(["validate", "out", "--json"])
    assert json.loads(capsys.readouterr().out)["runtimes"] == {"mine": {**entry, "source": "recorded"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_host("1 / 0 + "), f"{MINE} fails: division by zero"),
        (_host("(lambda y: exit('no licence'))"), f"{MINE} fails: no licence"),
        (_host("(lambda y: y.T)"), f"{MINE} gives output"),
        (_host("(lambda y: y.astype('float64'))"), f"{MINE} gives output"),
        (_host().replace("{name:", "{name + '_2':"), f"{MINE} gives outputs"),
    ],
)
def test_a_runtime_that_goes_wrong_is_a_line_and_the_bundle_is_written(
    text: str, told: str, bundle: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(text)
    assert main(["validate", "out", "--on", "mine", "--json"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    (warning,) = [line for line in captured.err.splitlines() if "mine" in line]
    assert warning.startswith(f"warning: the artifact does not run on mine: {told}")
    assert document["runtimes"]["mine"]["failure"].startswith(told)
    assert _missed(document) == ["min_runtime_agreement"]
    assert document["measures"]["size_mb"]["value"] > 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_module", "cannot be imported: No module named 'no_such_module'; repair that package"),
        (_host().replace("def run", "def go"), "gives a Host without run(model, batches); repair that package"),
        (
            f"{_host()}\nwhole.protocol = 2",
            "is made for protocol 2, and this edgecompress has 1; install versions that f",
        ),
    ],
)
def test_a_package_that_is_broken_ends_the_run_that_names_it_and_no_other(
    text: str, told: str, bundle: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(text)
    for command in (["validate", "out"], [*COMPRESS, "--output", "new"]):
        assert main([*command, "--on", "mine"]) == 2
        assert capsys.readouterr().err.startswith(f"error: {MINE} {told}")
    assert not (bundle.parent / "new").exists()
    assert main(["validate", "out", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["runtimes"] == {}


def test_a_changed_class_misses_the_budget_unless_it_is_loosened(
    bundle: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(_host("-1 * "))
    assert main(["validate", "out", "--on", "mine", "--json"]) == 1
    assert _missed(json.loads(capsys.readouterr().out)) == ["min_runtime_agreement"]
    main(["validate", "out", "--on", "mine", "--min-runtime-agreement", "0"])
    captured = capsys.readouterr().out
    assert "outputs there against the host's, measured here" in captured
    assert "min_runtime_agreement" in captured


def test_a_cpu_is_a_place_like_others(
    bundle: Path, emulator: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    emulator("RUN")
    documents = []
    for place in (["--cpu", "haswell"], ["--on", "qemu:haswell"]):
        main(["validate", "out", *place, "--json"])
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0]["cpus"] == documents[1]["cpus"]
    assert documents[0]["cpus"]["haswell"]["source"] == "measured here"
    assert documents[1]["runtimes"] == documents[1]["browser"] == {}


def test_a_browser_that_is_named_and_missing_is_exit_2(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(WEB, str(tmp_path))
    assert main(["validate", "out", "--on", "browser"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the browser run needs onnxruntime-web")


def test_a_runtime_that_nobody_has_is_told_with_the_nearest(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["validate", "out"], [*COMPRESS, "--output", "new"]):
        assert main([*command, "--on", "browsr"]) == 2
        assert capsys.readouterr().err == (
            "error: expected a value that is 'adb', 'browser', 'openvino', 'qemu', 'qnn' or 'ssh', got 'browsr'"
            " in 'validation.on'; did you mean 'browser'?\n"
        )


def test_a_target_whose_runtime_is_missing_makes_its_file_and_says_what_is_not_measured(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", None)
    loose = ("--set", "quantization.adaround=false", "--set", "budgets.min_compression_ratio=none")
    command = [*COMPRESS[:2], "--target", "snapdragon", "--calibration", "batches.py:calibration", *loose]
    status = main([*command, "--set", "cpu.runs=10", "--set", "export.simplify=false", "--output", "out"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    assert (
        "warning: the artifact is not run on qnn:sm8650: runtime 'qnn' needs onnxruntime-qnn;"
        " pip install 'edgecompress[qnn]'"
    ) in captured.err
    bundle = read_bundle(project / "out")
    assert bundle.manifest.runtimes["qnn:sm8650"]["outcome"] == "not installed"
    outcomes = {check.budget: check.outcome for check in bundle.manifest.verdict.budgets}
    assert outcomes["min_runtime_agreement"] == "not measured"
    assert "; not measured: " in captured.out
    (model_input,) = onnx.load(bundle.artifact).graph.input
    assert model_input.type.tensor_type.shape.dim[0].dim_value == 1


def test_nodes_that_a_budget_does_not_allow_on_the_cpu_are_exit_1_and_named(
    project: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(_host() + PARTLY)
    budgets = ("--set", "budgets.max_cpu_nodes=0", "--set", "budgets.min_npu_share=0.95")
    assert main([*COMPRESS, *LOOSE, *ON, *budgets, "--set", "cpu.runs=10", "--output", "out"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    told = "mine: of 3 nodes 1 on the NPU, with 90.00 % of the multiply-accumulates; on the CPU head (Gemm), view (Resh"
    assert f"{told}ape); head (Gemm): no float outputs" in printed
    assert "max_cpu_nodes 0 nodes 2 nodes missed" in printed
    assert "min_npu_share 95 % 90.00 % missed" in printed
    checks = {check.budget: check.outcome for check in read_bundle(project / "out").manifest.verdict.budgets}
    assert (checks["max_cpu_nodes"], checks["min_npu_share"]) == ("fail", "fail")
    page = (project / "out" / "report.html").read_text()
    assert "Where it runs on mine" in page
    assert "2 segments, 1 crossing" in page
    assert main(["validate", "out", "--json"]) == 1  # the record decides where nothing is run
    assert {"max_cpu_nodes", "min_npu_share"} <= {*_missed(json.loads(capsys.readouterr().out))}


def test_the_metric_of_as_many_samples_as_are_asked_for_is_told(
    project: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(_host("(lambda y: -y)"))
    samples = ("--set", "validation.samples=7", "--set", "cpu.runs=10")
    assert main([*COMPRESS, *LOOSE, *ON, *samples, "--output", "out"]) == 1  # other answers
    printed = " ".join(capsys.readouterr().out.split())
    entry = read_bundle(project / "out").manifest.runtimes["mine"]
    metric = entry["metric"]
    assert entry["samples"] == 7
    assert {round(metric[key] * 7 / 100, 6) % 1 for key in ("there", "here", "original")} == {0.0}
    assert metric["there"] != metric["here"]
    there, here, original = (f"{metric[key]:.2f} %" for key in ("there", "here", "original"))
    assert f"mine: top-1 on 7 samples: {there} there, {here} here, {original} for the float model" in printed
    assert f"{there} there" in (project / "out" / "report.html").read_text()


def test_validate_has_the_metric_there_too_and_no_float_model_of_its_own(
    bundle: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(_host())
    main(["validate", "out", *ON, "--json"])
    entry = json.loads(capsys.readouterr().out)["runtimes"]["mine"]
    assert entry["metric"]["there"] == entry["metric"]["here"]
    assert entry["metric"]["original"] is None


def test_what_a_runtime_makes_ships_where_the_artifact_is_made_for_it(
    project: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(_host().replace("nodes=NODES", "files={'model_ctx.onnx': b'compiled'}"))
    run = [*COMPRESS, *LOOSE, "--set", "cpu.runs=10"]
    main([*run, "--set", "validation.device=mine", "--output", "made_for"])
    main([*run, "--on", "mine", "--output", "tried"])
    made_for, tried = (read_bundle(project / name) for name in ("made_for", "tried"))
    assert made_for.manifest.runtimes["mine"]["files"] == ["model_ctx.onnx"]
    assert (made_for.path / "model_ctx.onnx").read_bytes() == b"compiled"
    assert made_for.manifest.files["model_ctx.onnx"].size_bytes == 8
    assert tried.manifest.runtimes["mine"]["files"] == []
    assert "model_ctx.onnx" not in tried.manifest.files
