"""Where the nodes of an artifact run at another place: a table, a line of segments; one line for what goes wrong."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import onnx
import pytest

import edgecompress
from edgecompress.cli import main
from edgecompress.errors import RecipeError
from edgecompress.registry import RUNTIMES
from tests.installing import install_package
from tests.networks import ConvNet, images, seeded

SPLIT = """
from edgecompress.runtime import open_session, run_session
from edgecompress.validation.elsewhere.place import Answer, Handling, RunNode

class Board:
    def run(self, model, batches):
        session = open_session(model, 1)
        (name,) = [spec.name for spec in session.get_outputs()]
        assert [len(next(iter(inputs.values()))) for inputs in batches] == [1]
        outputs = [{name: run_session(session, inputs)[0]} for inputs in batches]
        nodes = [
            RunNode(name="conv", operator="Conv", unit="NPU", precision="u8", macs=90),
            RunNode(name="view", operator="Reshape", unit="CPU", precision="f32", macs=0),
            RunNode(name="head", operator="Gemm", unit="CPU", precision="f32", macs=10, why="no float outputs"),
        ]
        return Answer(outputs=outputs, nodes=nodes, ran_on={"board": "3"})

def whole(device):
    return Board()

whole.handling = Handling(unit="NPU")
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placed") / "made"
    overrides = ("export.simplify=false", "cpu.runs=10", 'export.formats=["onnx"]', "quantization.adaround=false")
    return edgecompress.compress(seeded(ConvNet), calibration=images(seed=1), output=folder, overrides=overrides).path


@pytest.fixture
def bundle(small: Path, project: Path) -> Path:
    return shutil.copytree(small, project / "made")


def _install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str = SPLIT) -> None:
    install_package(tmp_path / "mine", monkeypatch, RUNTIMES.group, ("my-package", "mine"), text)


@pytest.mark.parametrize("given", ["made", "made/model.onnx"])
def test_nodes_are_listed_with_where_they_run_and_the_crossings(
    given: str,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _install(tmp_path, monkeypatch)
    assert main(["inspect", given, "--on", "mine:board"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["node", "operator", "runs", "on", "in", "MACs"],
        ["conv", "Conv", "NPU", "u8", "90"],
        ["view", "Reshape", "CPU", "f32", "0"],
        ["head", "Gemm", "CPU", "f32", "10"],
        [],
        ["mine:board:", "NPU", "1", "node", "->", "CPU", "2", "nodes"],
        ["1", "crossing,", "90.00", "%", "of", "the", "MACs", "on", "the", "NPU"],
        ["head:", "no", "float", "outputs"],
    ]
    assert main(["inspect", given, "--on", "mine:board", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["share"], document["crossings"], document["ran_on"]) == (0.9, 1, {"board": "3"})
    assert [node["unit"] for node in document["nodes"]] == ["NPU", "CPU", "CPU"]
    found = edgecompress.inspect(edgecompress.read_bundle("made"), on="mine:board")
    assert found.document() == document


def _told(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["inspect", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def test_a_target_stands_for_the_place_that_it_is_made_for(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    needed = {"snapdragon": "edgecompress[qnn]", "openvino-cpu": "edgecompress[openvino]"}
    given = ["nets.py:net", "--calibration", "batches.py:calibration", "--output", "other"]
    for words in (["validate", "made"], ["compress", *given]):
        for target, extra in needed.items():
            assert main([*words, "--on", target]) == 2
            assert capsys.readouterr().err.splitlines()[-1].endswith(f"pip install '{extra}'")
        assert main([*words, "--on", "mobile"]) == 2
        assert "error: target 'mobile' runs on ONNX Runtime's CPU provider, as this" in capsys.readouterr().err


def test_what_cannot_be_run_there_is_one_line(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", None)
    needs = "error: runtime 'qnn' needs onnxruntime-qnn; pip install 'edgecompress[qnn]'"
    assert _told(["made", "--on", "snapdragon"], capsys) == needs
    assert _told(["made", "--on", "mobile"], capsys) == (
        "error: target 'mobile' runs on ONNX Runtime's CPU provider, as this machine does; leave it out of --on, or"
        " give a place there, such as 'qnn:sm8650'"
    )
    assert _told(["made", "--on", "qnn:sm1"], capsys).startswith("error: unknown system on a chip 'sm1'; name one of ")
    assert _told(["made", "--on", "snapdragn"], capsys) == (
        "error: there is no runtime or target 'snapdragn'; name a runtime, adb, browser, openvino, qemu, qnn, ssh,"
        " or a target that is made for one, as 'snapdragon'; did you mean 'snapdragon'?"
    )
    assert _told(["made", "--on", "qn:sm8650"], capsys).endswith("; did you mean 'qnn'?")
    assert _told(["gone", "--on", "snapdragon"], capsys) == needs
    _install(tmp_path, monkeypatch, SPLIT.replace("nodes=nodes, ", ""))
    assert _told(["made", "--on", "mine"], capsys) == (
        "error: runtime 'mine' of package 'my-package' does not tell where nodes run; name one that does, such as 'qnn'"
    )


def test_what_fails_there_and_files_that_are_none_are_one_line(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _install(tmp_path, monkeypatch, SPLIT.replace("session = ", "return Answer(failure='no room')\n        session = "))
    assert _told(["made", "--on", "mine"], capsys) == (
        "error: 'made/model.onnx' does not run on mine: no room; compress for a target that is made for it"
    )
    assert "does not exist" in _told(["gone.onnx", "--on", "mine"], capsys)
    (bundle / "recipe.toml").write_text("seed = 1\n")
    assert "'recipe.toml' was changed after it was written" in _told(["made", "--on", "mine"], capsys)


def test_a_file_with_a_dimension_of_unknown_size_needs_inputs(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _install(tmp_path, monkeypatch)
    text = '<ir_version: 10, opset_import: ["": 20]> m (float[N,length] x) => (float[N,length] y) { y = Relu(x) }'
    onnx.save(onnx.parser.parse_model(text), "free.onnx")
    assert _told(["free.onnx", "--on", "mine"], capsys) == (
        "error: 'free.onnx' has the dynamic dimension 'length'; give the bundle, which has inputs"
    )


def test_a_file_that_onnx_runtime_refuses_is_one_line(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _install(tmp_path, monkeypatch)
    text = '<ir_version: 10, opset_import: ["": 20]> m (float[1,4] x) => (int64[1,4] y) { y = Relu(x) }'
    onnx.save(onnx.parser.parse_model(text), "wrong.onnx")
    told = _told(["wrong.onnx", "--on", "mine"], capsys)
    assert told.startswith("error: 'wrong.onnx': ONNX Runtime refuses the model: ")
    assert told.endswith("; export it again, or in other operators")


def test_a_module_runs_nowhere_else() -> None:
    with pytest.raises(RecipeError) as caught:
        edgecompress.inspect(seeded(ConvNet), on="qnn")
    assert str(caught.value) == "only a file runs at other places; give a bundle, or the path of an ONNX file"


def test_nothing_else_is_taken_with_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--sensitivity"], ["--calibration", "batches.py:calibration"]):
        assert _told(["nets.py:net", "--on", "qnn", *words], capsys) == (
            "error: at another place an artifact runs as it is; leave out all but the bundle and --on"
        )
