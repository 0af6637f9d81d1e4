"""Artifacts by layer: what each holds, and shares that add up to the whole."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgecompress.diagnosis.onnx_layers import declared_layers
from edgecompress.inspection import onnx_layers
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph

X = {"x": draw(1, 4, 8, 8)}
CHAIN = "a = Conv<pads=[1,1,1,1]>(x, w) r = Relu(a) s = Softmax(r) y = Conv<pads=[3,3,3,3]>(s, v)"
MODEL = to_bytes(graph(CHAIN, w=draw(4, 4, 3, 3), v=draw(4, 4, 7, 7)))


def test_every_layer_with_its_weights_and_its_time() -> None:
    found = onnx_layers(MODEL, X)
    small, large = found.layers
    assert (small.name, small.kind, small.shape, small.precision) == ("a", "Conv", (4, 4, 3, 3), "float32")
    assert (small.parameters, small.bytes, small.macs) == (144, 576, 4 * 64 * 36)
    assert large.macs == 4 * 64 * 4 * 49
    assert found.macs == 4 * 64 * (36 + 4 * 49)
    assert found.other_macs == 0
    assert small.share is not None  # fused with the Relu behind it
    assert large.share is not None
    assert found.other_share is not None
    assert found.other_share > 0  # the Softmax
    assert small.share + large.share + found.other_share == pytest.approx(1.0)
    assert found.latency_ms is not None
    assert found.latency_ms > 0
    assert found.notes == ()


def test_products_without_weights_are_counted_in_addition_to_the_layers() -> None:
    found = onnx_layers(to_bytes(graph("p = MatMul(x, x) y = MatMul(p, w)", w=draw(8, 8))), X)
    assert (found.other_macs, found.macs) == (4 * 8 * 64, 2 * 4 * 8 * 64)


def test_weights_that_are_put_together_when_the_file_is_loaded_are_those_of_their_layer() -> None:
    body = "h, l = Split<axis=0, num_outputs=2>(w) t = Concat<axis=0>(l, h, z) y = Conv<pads=[1,1,1,1]>(x, t)"
    found = onnx_layers(to_bytes(graph(body, w=draw(4, 4, 3, 3), z=draw(1, 4, 3, 3))), X)
    assert [(layer.kind, layer.parameters, layer.bytes) for layer in found.layers] == [("Conv", 180, 720)]


def test_nodes_without_names_get_one() -> None:
    proto = onnx.load_model_from_string(MODEL)
    for node in proto.graph.node:
        node.name = ""
    found = onnx_layers(proto.SerializeToString(), X)
    assert len({layer.name for layer in found.layers}) == 2
    assert all(layer.share is not None for layer in found.layers)


def test_what_was_not_counted_is_named() -> None:
    found = onnx_layers(to_bytes(graph('y = Einsum<equation = "nchw,wv->nchv">(x, w)', w=draw(8, 8))), X)
    assert [layer.macs for layer in found.layers] == [None]
    assert "not counted: Einsum (1)" in found.notes


BRANCHES = """
<ir_version: 10, opset_import: ["" : 20]>
m (float[N, 64] x, bool flag) => (float[N, 64] y) {
    a = MatMul(x, v)
    y = If (flag) <
        then_branch = yes () => (float[N, 64] p) { m = MatMul(a, w) p = Relu(m) },
        else_branch = no () => (float[N, 64] q) { q = Add(a, u) }
    >
}
"""


def test_layers_in_branches_count_once() -> None:
    proto = onnx.parser.parse_model(BRANCHES)
    constants = {"v": draw(64, 64), "w": draw(64, 64), "u": draw(64)}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    found = onnx_layers(proto.SerializeToString(), {"x": draw(2, 64), "flag": np.array(True)})
    assert [(layer.kind, layer.parameters) for layer in found.layers] == [
        ("MatMul", 4096),
        ("MatMul", 4096),
        ("Add", 64),
    ]
    assert [layer.macs for layer in found.layers] == [2 * 64 * 64, None, None]
    assert "not counted: If (1)" in found.notes
    shares = [layer.share for layer in found.layers]
    assert shares[2] is None  # the branch that was not taken
    assert found.other_share is not None
    assert 0 <= found.other_share < 1
    assert sum(share or 0.0 for share in shares) + found.other_share == pytest.approx(1.0)


def test_shapes_that_are_declared_are_enough() -> None:
    counted = declared_layers(MODEL)
    assert [layer.macs for layer in counted.layers] == [layer.macs for layer in onnx_layers(MODEL, X).layers]
    assert counted.latency_ms is not None


def test_a_size_that_nobody_knows_is_named_and_nothing_measured() -> None:
    proto = onnx.load_model_from_string(MODEL)
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    found = declared_layers(proto.SerializeToString())
    assert [layer.parameters for layer in found.layers] == [144, 784]
    assert (found.macs, found.latency_ms, found.other_share) == (None, None, None)
    assert found.notes == ("neither counted nor timed: the size of height is not fixed; give calibration data",)


def test_a_file_that_does_not_run_still_has_its_layers() -> None:
    body = "s = Constant<value_ints = [1, 7]>() r = Reshape(x, s) y = MatMul(r, w)"
    found = declared_layers(to_bytes(graph(body, w=draw(7, 2))))
    assert [layer.name for layer in found.layers] == ["y"]
    assert found.notes[0].startswith("neither counted nor timed: ")
    assert found.latency_ms is None


def test_integers_are_told_by_their_weights() -> None:
    weight = np.ones((4, 4, 3, 3), np.int8)
    body = "d = DequantizeLinear(w, s) y = Conv<pads=[1,1,1,1]>(x, d)"
    (layer,) = onnx_layers(to_bytes(graph(body, w=weight, s=np.array(0.1, np.float32))), X).layers
    assert (layer.precision, layer.bytes, layer.macs) == ("int8", 144, 4 * 64 * 36)
