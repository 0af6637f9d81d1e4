"""What OpenVINO's process tells of the nodes that ran, and of what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.in_openvino import executed, in_one_line, run
from tests.exporters.graphs import draw, graph


class _Told(str):
    def astype(self, kind: type[str]) -> str:
        return kind(self)


def _node(name: str, layer: str, precision: str = "u8", took: str = "12") -> SimpleNamespace:
    told = {"layerType": layer, "runtimePrecision": precision, "execTimeMcs": took, "originalLayersNames": name}
    info: Mapping[str, _Told] = {key: _Told(value) for key, value in told.items()}
    return SimpleNamespace(get_friendly_name=lambda: name, get_rt_info=lambda: info)


def test_what_ran_and_computed_is_told_with_its_precision() -> None:
    nodes = [
        _node("x", "Input", took="not_executed"),
        _node("conv1/WithoutBiases", "Convolution"),
        _node("conv1_abcd_acdb", "Reorder", "f32"),
        _node("bias", "Reshape", "f32", took="not_executed"),
        _node("folded", "Eltwise", took="not_executed"),
        _node("soft", "Softmax", "f32"),
    ]
    assert executed(SimpleNamespace(get_ordered_ops=lambda: nodes), "CPU") == [
        {"name": "conv1", "operator": "Convolution", "unit": "CPU", "precision": "u8"},
        {"name": "soft", "operator": "Softmax", "unit": "CPU", "precision": "f32"},
    ]


def test_a_refusal_is_one_line_without_its_place_in_the_source() -> None:
    error = RuntimeError("Exception from a.cpp:84:\nCheck 'false' failed at b.cpp:151:\nNot converted.\n-- Strange\n\n")
    assert in_one_line(error) == "Not converted. -- Strange"
    assert in_one_line(RuntimeError("Exception from a.cpp:84:\n")) == "RuntimeError"


def test_a_float_graph_runs_in_floats(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="pip install 'edgecompress[openvino]'")
    (tmp_path / "model.onnx").write_bytes(to_bytes(graph("s = Sigmoid(x) y = Mul(x, s)")))
    x = draw(3, 4, 8, 8)
    np.savez(tmp_path / "inputs.npz", allow_pickle=False, **{"0_x": x})
    answer = run(tmp_path, "CPU", ["y"])
    assert {node["precision"] for node in answer["nodes"]} == {"f32"}
    with np.load(tmp_path / "outputs.npz") as pack:
        np.testing.assert_allclose(pack["0_y"], x / (1 + np.exp(-x)), rtol=1e-4, atol=1e-6)
