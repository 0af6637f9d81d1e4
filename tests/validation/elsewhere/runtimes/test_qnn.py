"""The simulated Hexagon NPU: where nodes run there, what they answer, and one line for whatever goes wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecompress.cli import main
from edgecompress.data.batches import Batch
from edgecompress.errors import RecipeError
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.places import find_places
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult
from edgecompress.validation.elsewhere.runtimes.qnn import SOCS, find_place
from tests.exporters.graphs import draw
from tests.heard import Heard

needs_qnn = pytest.mark.skipif(find_spec("onnxruntime_qnn") is None, reason="pip install 'edgecompress[qnn]'")
QUANTIZED = """<ir_version: 10, opset_import: ["": 21]>
m (float[N,4,8,8] x) => (float[N,4,8,8] y)
<float a = {0.03}, uint8 p = {128}, float b = {0.02}, int8 o = {0}, float c = {0.05}>
{
    xq = QuantizeLinear(x, a, p)
    xd = DequantizeLinear(xq, a, p)
    wd = DequantizeLinear(w, b, o)
    [conv] f = Conv<pads=[1,1,1,1]>(xd, wd)
    fq = QuantizeLinear(f, c, p)
    TAIL
}"""
WHOLE = "y = DequantizeLinear(fq, c, p)"
# Shrink is an operator of ONNX that the NPU does not have.
SPLIT = "fd = DequantizeLinear(fq, c, p) [shrink] y = Shrink<lambd=0.1, bias=0.05>(fd)"
BATCHES = [Batch(inputs={"x": draw(rows, 4, 8, 8, seed=rows)}) for rows in (2, 1)]
BROKEN = {
    "import os; os.abort()": "it was ended by signal 6 (SIGABRT)",
    "import time; time.sleep(60)": "it took longer than 5 s",
    "x = bytearray(2**34)": "its compiler needs more memory than there is",
    "raise ImportError('libc++.so.1 is missing')": "onnxruntime-qnn does not load: libc++.so.1 is missing",
}


def _model(tail: str = WHOLE) -> bytes:
    model = onnx.parser.parse_model(QUANTIZED.replace("TAIL", tail))
    weights = np.random.default_rng(0).integers(-127, 128, (4, 4, 3, 3)).astype(np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    return bytes(model.SerializeToString())


def _run(model: bytes, place: str = "qnn", batches: list[Batch] = BATCHES) -> PlaceResult:
    (result,) = compare_places(model, batches[0], batches, find_places([place]), Heard())
    return result


def test_what_is_not_installed_is_named_with_its_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", None)
    assert main(["validate", str(tmp_path), "--on", "qnn:sm8650"]) == 2
    assert capsys.readouterr().err == "error: runtime 'qnn' needs onnxruntime-qnn; pip install 'edgecompress[qnn]'\n"


def test_a_system_on_a_chip_that_is_unknown_is_told_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        find_places(["qnn:sm8651"])
    known = "sm8350, sm8450, sm8475, sm8550, sm8650, sm8750, sm8850, sc8380xp"
    assert str(caught.value).startswith(f"unknown system on a chip 'sm8651'; name one of {known}; did you mean 'sm8")


@pytest.mark.parametrize("script", BROKEN)
def test_a_compiler_that_crashes_hangs_or_takes_all_memory_is_a_line(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime_qnn.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.onnx").write_bytes(_model())
    place = replace(find_place(""), limit_s=5.0 if "sleep" in script else 100.0, memory_bytes=2**33)
    answer = place.run(tmp_path / "own" / "model.onnx", [BATCHES[0].inputs])
    assert (answer.failure, list(answer.outputs), list(answer.nodes)) == (BROKEN[script], [], [])


def test_what_fails_where_memory_runs_out_tells_how_much_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime_qnn.py").write_text(
        "x = bytearray(5 * 2**30)\nraise RuntimeError('failed to map segment')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.onnx").write_bytes(_model())
    answer = replace(find_place(""), memory_bytes=2**33).run(tmp_path / "own" / "model.onnx", [BATCHES[0].inputs])
    told = r"failed to map segment; it had taken [5-7]\.\d of the 8\.0 GiB of memory that it may take"
    assert re.search(told, str(answer.failure))


def test_a_shape_that_cannot_be_fixed_is_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime_qnn.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = '<ir_version: 10, opset_import: ["": 20]> m (float[n,length] x) => (float[n,length] y) { y = Relu(x) }'
    result = _run(onnx.parser.parse_model(text).SerializeToString(), batches=[Batch(inputs={"x": draw(2, 4)})])
    assert str(result.failure).startswith("an NPU takes fixed shapes, and not dynamic 'length', 'n'")
    assert Elsewhere.of([result]).agreements["runtime_agreement"] == 0.0


@needs_qnn
@pytest.mark.parametrize("soc", SOCS)
def test_a_quantized_network_runs_whole_on_every_npu(soc: str) -> None:
    result = _run(_model(), f"qnn:{soc}")
    assert (result.failure, result.samples) == (None, 3)
    assert [(node.name, node.unit, node.precision) for node in result.nodes] == [("conv", "NPU", "u8")]
    assert result.agreement.sqnr_db > 25
    assert (result.ran_on["SoC"], result.ran_on["NPU"]) == (soc, "simulated")


@needs_qnn
def test_what_the_npu_leaves_to_the_cpu_is_named() -> None:
    result = _run(_model(SPLIT))
    assert result.failure is None
    units = {node.name: node.unit for node in result.nodes}
    assert (units["conv"], units["shrink"]) == ("NPU", "CPU")
    assert "shrink (Shrink)" in result.entry["nodes"]["refused"]
    assert result.agreement.sqnr_db > 20


@needs_qnn
def test_a_network_that_the_npu_takes_nothing_of_fails() -> None:
    text = '<ir_version: 10, opset_import: ["": 20]> m (float[N,4,4] x) => (float[N] y) { y = Det(x) }'
    result = _run(onnx.parser.parse_model(text).SerializeToString(), batches=[Batch(inputs={"x": draw(2, 4, 4)})])
    assert str(result.failure).startswith("nothing of it runs on the NPU: ")


LOADED = """
import sys
import numpy, onnxruntime, onnxruntime_qnn
from edgecompress.validation.elsewhere.in_qnn import PROVIDER

model, inputs, outputs = sys.argv[1:]
onnxruntime.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
(device, *_) = [each for each in onnxruntime.get_ep_devices() if each.ep_name == PROVIDER]
options = onnxruntime.SessionOptions()
htp = {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), "soc_model": "sm8650"}
options.add_provider_for_devices([device], htp)
session = onnxruntime.InferenceSession(model, options)
numpy.save(outputs, session.run(["y"], {"x": numpy.load(inputs)})[0])
"""
"""As an application loads a compiled network."""


@needs_qnn
def test_the_compiled_network_answers_as_the_one_that_it_was_made_of(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(_model(SPLIT))
    answer = find_place("sm8650").run(tmp_path / "model.onnx", [batch.inputs for batch in BATCHES])
    assert answer.failure is None
    (tmp_path / "context.onnx").write_bytes(answer.files["model_ctx.onnx"])
    operators = [node.op_type for node in onnx.load(tmp_path / "context.onnx").graph.node]
    assert {"EPContext", "Shrink"} <= {*operators}
    assert "Conv" not in operators
    assert re.fullmatch(r"2(\.\d+)+", answer.ran_on["QNN SDK"])
    np.save(tmp_path / "x.npy", BATCHES[0].inputs["x"][:1])
    files = [str(tmp_path / name) for name in ("context.onnx", "x.npy", "y.npy")]
    subprocess.run([sys.executable, "-c", LOADED, *files], check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), answer.outputs[0]["y"][:1])


@needs_qnn
def test_work_is_counted_by_multiply_accumulates() -> None:
    result = _run(_model(SPLIT))
    assert result.entry["nodes"]["shares"] == {"NPU": 1.0, "CPU": 0.0}
    assert [each["unit"] for each in result.entry["nodes"]["segments"]] == ["NPU", "CPU"]
    assert result.entry["nodes"]["segments"][0]["macs"] == 4 * 4 * 9 * 8 * 8
