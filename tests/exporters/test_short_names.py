"""Inner values get short names; inputs, outputs and nodes keep theirs, and nothing is computed otherwise."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import given

from edgecompress.exporters.short_names import free_names_of, graphs_of, shorten_names
from edgecompress.runtime import execute, to_bytes
from tests.exporters.drawn_graphs import drawn_graphs
from tests.exporters.graphs import draw, graph, run

BRANCHES = """
<ir_version: 10, opset_import: ["" : 20]>
main (float[N] x, bool c) => (float[N] y)
<float[1] a_constant = {2.0}, float[1] inner_constant = {3.0}>
{
  outside = Mul (x, a_constant)
  chosen = If (c) <
    then_branch = then () => (float[N] value) { before = Add (outside, inner_constant) value = Neg (before) },
    else_branch = other () => (float[N] value) { value = Exp (outside) }
  >
  y = Abs (chosen)
}
"""


def _short(model: ir.Model) -> onnx.ModelProto:
    proto = onnx.load_from_string(to_bytes(model))
    shorten_names(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _values(proto: onnx.ModelProto) -> set[str]:
    nodes = [node for part in graphs_of(proto.graph) for node in part.node]
    return {name for node in nodes for name in (*node.input, *node.output) if name}


def test_inner_values_are_called_by_a_letter() -> None:
    proto = _short(graph("inner = Relu(x) another = Add(inner, table) y = Tanh(another)", table=draw(4, 8, 8)))
    assert {name for name in _values(proto) if len(name) == 1} == _values(proto)
    assert {"x", "y"} < _values(proto)
    assert [node.name for node in proto.graph.node] == ["inner", "another", "y"]


def test_a_node_of_constants_which_runtimes_fold_has_no_name() -> None:
    proto = _short(graph("w = Neg(k) v = Abs(w) m = Mul(x, v) y = Relu(m)", k=draw(4, 1, 1)))
    assert [node.name for node in proto.graph.node] == ["", "", "m", "y"]


def test_what_is_referred_to_most_has_the_shortest_name() -> None:
    body = " ".join(f"n{place} = Add(n{place - 1}, table)" for place in range(1, 80))
    proto = _short(graph(f"n0 = Relu(x) {body} y = Tanh(n79)", table=draw(4, 8, 8)))
    (constant,) = proto.graph.initializer
    assert constant.name == "a"
    assert max(map(len, _values(proto))) == 2


def test_no_value_is_called_as_a_node_or_an_input_is() -> None:
    proto = _short(graph("a = Relu(x) b = Neg(a) c = Exp(b) y = Add(c, a)"))
    nodes = {node.name for node in proto.graph.node}
    assert nodes == {"a", "b", "c", "y"}
    assert not (_values(proto) - {"x", "y"}) & nodes


def test_pairs_have_no_names() -> None:
    body = "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d)"
    proto = _short(graph(body, s=np.array(0.1, np.float32), z=np.array(3, np.uint8)))
    assert [node.name for node in proto.graph.node] == ["", "", "y"]


def test_branches_see_the_values_around_them() -> None:
    model = ir.from_proto(onnx.parser.parse_model(BRANCHES))
    proto = _short(model)
    assert max(map(len, _values(proto))) == 1
    for taken in (True, False):
        inputs = {"x": draw(5), "c": np.array(taken)}
        before, after = (execute(each, inputs)[0] for each in (model, ir.from_proto(proto)))
        np.testing.assert_array_equal(before, after)


def test_annotations_follow_what_they_speak_of() -> None:
    proto = onnx.load_from_string(to_bytes(graph("inner = Relu(x) y = Mul(inner, step)", step=np.array(2, np.float32))))
    annotation = proto.graph.quantization_annotation.add(tensor_name="inner")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="step")
    shorten_names(proto)
    (relu, mul), (told,) = proto.graph.node, proto.graph.quantization_annotation
    assert [told.tensor_name, told.quant_parameter_tensor_names[0].value] == [relu.output[0], mul.input[1]]


def test_free_names_are_those_that_nothing_has() -> None:
    proto = onnx.load_from_string(to_bytes(graph("a = Relu(x) c = Neg(a) y = Exp(c)")))
    assert next(free_names_of(proto)) == "b"


@given(drawn_graphs())
def test_names_change_no_output(model: ir.Model) -> None:
    proto, x = _short(model), draw(2, 4, 8, 8, seed=7)
    np.testing.assert_array_equal(run(model, x), run(ir.from_proto(proto), x))
    assert proto.ByteSize() <= len(to_bytes(model))
