"""Weights that are int8 in the file are floats once ONNX Runtime has loaded it."""

from __future__ import annotations

import numpy as np

from edgecompress.exporters.graph import constant
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.stored_weights import store_weight
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run

WEIGHT = draw(3, 8, 64)


def test_the_file_is_smaller_and_the_loaded_graph_the_same() -> None:
    model = graph("y = MatMul(x, w)", w=draw(8, 512))
    stored = model.clone()
    store_weight(stored.graph, stored.graph[0], 1, "y/W")
    del stored.graph.initializers["w"]
    assert len(to_bytes(stored)) < 0.35 * len(to_bytes(model))
    assert [node.op_type for node in optimized_graph(stored)] == ["MatMul"]
    assert run(stored, draw(2, 4, 8, 8)).shape == (2, 4, 8, 512)


def test_each_row_is_off_by_half_a_step_of_its_own() -> None:
    weight = WEIGHT * np.array([1e-3, 1, 1e3], np.float32).reshape(3, 1, 1)
    model = graph("y = MatMul(x, w)", w=weight)
    store_weight(model.graph, model.graph[0], 1, "y/W")
    codes, scale = (constant(model.graph.initializers[name]) for name in ("y/W_quantized", "y/W/scale"))
    assert codes is not None
    assert scale is not None
    assert codes.dtype == np.int8
    step = np.abs(weight).max(axis=-1, keepdims=True) / 127.5
    np.testing.assert_allclose(scale, step, rtol=1e-6)
    assert (np.abs(codes * scale - weight) <= 0.501 * step).all()


def test_a_row_of_zeros_stays_one() -> None:
    model = graph("y = MatMul(x, w)", w=np.zeros((8, 64), np.float32))
    store_weight(model.graph, model.graph[0], 1, "y/W")
    assert not run(model, draw(2, 4, 8, 8)).any()
