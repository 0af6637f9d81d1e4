"""onnxsim runs in a child process: whatever becomes of it, the run goes on."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.exporters.simplify import simplify
from tests.exporters.graphs import draw, graph, run

BODY = "i = Identity(x) j = Identity(i) y = Relu(j)"


def test_a_simpler_model_computes_the_same() -> None:
    model = graph(BODY)
    result = simplify(model)
    assert result.warnings == ()
    assert [node.op_type for node in result.model.graph] == ["Relu"]
    assert len(model.graph) == 3
    x = draw(2, 4, 8, 8)
    np.testing.assert_array_equal(run(result.model, x), np.maximum(x, 0))


def test_a_layer_that_is_made_of_others_is_called_as_the_one_whose_weight_it_holds() -> None:
    model = graph("a = MatMul(x, w) h = Add(a, b) r = Relu(h) c = MatMul(r, v) y = Add(c, d)", w=draw(8, 6), b=draw(6),
                  v=draw(6, 5), d=draw(5))  # fmt: skip
    model.graph.inputs[0].shape = ir.Shape([1, 4, 8, 8])
    result = simplify(model).model
    layers = {node.name: node for node in result.graph if node.op_type == "Gemm"}
    assert set(layers) == {"a", "c"}
    assert layers["a"].outputs[0].name == "a"
    x = draw(1, 4, 8, 8)
    np.testing.assert_allclose(run(result, x), run(model, x), rtol=1e-5, atol=1e-5)
    assert len({value.name for node in result.graph for value in node.outputs}) == len(list(result.graph))


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ("import os; os.abort()", "it was ended by signal 6 (SIGABRT)"),
        ("raise ValueError('no shape')", "it failed: ValueError: no shape"),
        ("pass", "it wrote no model that can be read"),
        ("import sys; open(sys.argv[2], 'wb').write(b'half')", "it wrote no model that can be read"),
    ],
)
def test_a_child_that_fails_costs_a_warning(child: str, reason: str) -> None:
    model = graph(BODY)
    result = simplify(model, child=child)
    assert result.model is model
    assert result.warnings == (f"onnxsim was left out: {reason}",)


def test_a_child_that_hangs_is_ended() -> None:
    start = time.perf_counter()
    result = simplify(graph(BODY), child="import time; time.sleep(60)", timeout_s=0.5)
    assert result.warnings == ("onnxsim was left out: it took longer than 0.5 s",)
    assert time.perf_counter() - start < 20


def test_a_user_s_own_onnx_py_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnx.py").write_text("raise RuntimeError('mine')")
    monkeypatch.chdir(tmp_path)
    assert simplify(graph(BODY)).warnings == ()


def test_what_a_user_wrote_about_a_model_stays_and_onnxsim_adds_nothing() -> None:
    model = graph(BODY)
    model.metadata_props["classes"] = "cat,dog"
    assert simplify(model).model.metadata_props == {"classes": "cat,dog"}
