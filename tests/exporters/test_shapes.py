"""Shapes follow from the inputs that are given, whatever the file says of dynamic dimensions."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgecompress.exporters.shapes import known_shape, with_sizes
from edgecompress.runtime import open_session
from tests.exporters.graphs import draw

TEXT = """
<ir_version: 10, opset_import: ["" : 20]> main (float[N,T,4] x) => (float[N,a,b] y) {
  p = Transpose<perm=[0,2,1]>(x)
  m = MatMul(p, x)
  y = Concat<axis=1>(m, m)
}
"""


@pytest.mark.parametrize(("rows", "steps"), [(1, 7), (3, 2)])
def test_the_shapes_are_those_that_the_runtime_gives(rows: int, steps: int) -> None:
    proto = onnx.parser.parse_model(TEXT)
    x = draw(rows, steps, 4)
    sized = with_sizes(ir.from_proto(proto), {"x": x})
    inner = [output for node in sized.graph for output in node.outputs]
    proto.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in ("p", "m"))
    y, p, m = open_session(proto.SerializeToString(), threads=1).run(None, {"x": x})
    assert {value.name: known_shape(value) for value in inner} == {"p": p.shape, "m": m.shape, "y": y.shape}


def test_the_model_itself_stays_as_it_is() -> None:
    model = ir.from_proto(onnx.parser.parse_model(TEXT))
    with_sizes(model, {"x": np.zeros((1, 2, 4), np.float32)})
    assert known_shape(model.graph.inputs[0]) is None


def test_a_shape_that_nobody_knows_is_none() -> None:
    assert known_shape(None) is None
    assert known_shape(ir.Value(name="x")) is None
    assert known_shape(ir.Value(name="x", shape=ir.Shape([2, 3]))) == (2, 3)


def test_pairs_of_onnx_runtime_have_the_shape_of_what_they_read() -> None:
    body = "q = com.microsoft.QuantizeLinear(x, s, z) d = com.microsoft.DequantizeLinear(q, s, z) y = Relu(d)"
    opsets = 'opset_import: ["" : 20, "com.microsoft" : 1]'
    proto = onnx.parser.parse_model(f"<ir_version: 10, {opsets}> main (float[N,4] x) => (float[N,a] y) {{ {body} }}")
    scale, zero_point = np.array(0.1, np.float32), np.array(9, np.uint16)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(scale, "s"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(zero_point, "z"))
    sized = with_sizes(ir.from_proto(proto), {"x": np.zeros((3, 4), np.float32)})
    assert [known_shape(node.outputs[0]) for node in sized.graph] == [(3, 4)] * 3
    assert [node.domain for node in sized.graph] == ["com.microsoft", "com.microsoft", ""]
