"""What moves integers is written between pairs, and the model answers the same."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgecompress.arrays import Array
from edgecompress.quantization.float_moves import move_floats
from edgecompress.quantization.qdq_pairs import DEQUANTIZE, QUANTIZE
from edgecompress.runtime import ALL_CORES, open_session, run_session, to_bytes
from tests.exporters.graphs import draw

HEAD = """<ir_version: 10, opset_import: ["": 20]>
m (float[N,4,8,8] x) => (float[N,a,b,c] y)
<float s = {0.03}, uint8 z = {120}, float t = {0.006}, uint8 o = {20}, uint8 low = {100}, uint8 high = {140},
 int64[4] shape = {0,8,4,8}, int64[8] pads = {0,0,1,1,0,0,1,1}>
{ xq = QuantizeLinear(x, s, z) BODY }"""
MOVES = {
    "pool": "[move] m = MaxPool<kernel_shape=[2,2]>(xq) y = DequantizeLinear(m, s, z)",
    "shape": "[move] m = Reshape(xq, shape) y = DequantizeLinear(m, s, z)",
    "clip": "[move] m = Clip(xq, low, high) y = DequantizeLinear(m, s, z)",
    "pad": "[move] m = Pad(xq, pads, z) y = DequantizeLinear(m, s, z)",
    "chain": "[move] m = Transpose<perm=[0,2,3,1]>(xq) [move2] n = Transpose<perm=[0,3,1,2]>(m)"
    " y = DequantizeLinear(n, s, z)",
    "split": "[move] m, n = Split<axis=1, num_outputs=2>(xq) a = DequantizeLinear(m, s, z)"
    " e = DequantizeLinear(n, s, z) y = Add(a, e)",
}


def _model(body: str) -> ir.Model:
    return ir.from_proto(onnx.parser.parse_model(HEAD.replace("BODY", body)))


def _outputs(model: ir.Model) -> Array:
    return run_session(open_session(to_bytes(model), ALL_CORES), {"x": 2 * draw(2, 4, 8, 8)})[0]


@pytest.mark.parametrize("kind", MOVES)
def test_the_same_numbers_come_out_of_pairs(kind: str) -> None:
    model = _model(MOVES[kind])
    expected = _outputs(model)
    moved = move_floats(model.graph)
    assert moved == (["move", "move2"] if kind == "chain" else ["move"])
    for node in model.graph:
        if node.name in moved:
            makers = [value.producer() for value in node.inputs if value is not None and value.producer() is not None]
            assert {maker.op_type for maker in makers if maker is not None} == {DEQUANTIZE}
            assert {user.op_type for output in node.outputs for user, _ in output.uses()} == {QUANTIZE}
    np.testing.assert_array_equal(_outputs(model), expected)


def test_a_relabelling_is_a_hard_sigmoid_again() -> None:
    """clip(0.2 x + 0.6, 0, 1) in the codes of x: 0.2 * 0.03 = 0.006, and zero is at 120 - 0.6 / 0.006 = 20."""
    model = _model("[move] m = Clip(xq, o, high) y = DequantizeLinear(m, t, o)")
    x = 2 * draw(2, 4, 8, 8)
    codes = np.clip(np.round(x / 0.03) + 120, 20, 140)
    expected = _outputs(model)
    np.testing.assert_allclose(expected, 0.006 * (codes - 20), atol=1e-6)
    move_floats(model.graph)
    (gate,) = [node for node in model.graph if node.op_type == "HardSigmoid"]
    assert gate.attributes.get_float("alpha") == pytest.approx(0.2)
    assert gate.attributes.get_float("beta") == pytest.approx(0.6)
    assert np.abs(_outputs(model) - np.minimum(expected, 1.0)).max() <= 0.0061  # a step of the codes


def test_a_model_without_integers_is_left_alone() -> None:
    model = ir.from_proto(onnx.parser.parse_model(HEAD.replace("xq = QuantizeLinear(x, s, z) BODY", "y = Relu(x)")))
    assert move_floats(model.graph) == []
    assert [node.op_type for node in model.graph] == ["Relu"]
