"""What ships passes the checker with full shape inference, names its dynamic axes, and keeps the user's names."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from onnx import TensorProto, helper

import edgecompress
from edgecompress.arithmetic import Arithmetic
from edgecompress.data.batches import Batches, InputNames
from edgecompress.diagnosis.onnx_layers import layers_of
from edgecompress.errors import EdgecompressError, ModelError
from edgecompress.exporters.finish import compact, fault_of, finish, require_valid
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import open_session, run_session, to_bytes
from tests.exporters.drawn_graphs import drawn_graphs
from tests.exporters.graphs import draw, graph, run

Shape = list[int | str | None]


def _relu(given: Shape, declared: Shape, output: str = "y") -> ir.Model:
    values = (("x", given), (output, declared))
    (x,), (y,) = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in values)
    made = helper.make_graph([helper.make_node("Relu", ["x"], [output])], "g", [x], [y])
    return ir.from_proto(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def test_a_file_that_is_right_stays_as_it_is() -> None:
    model = graph("y = Relu(x)")
    assert finish(model, model) == to_bytes(model)


def test_an_axis_without_a_name_gets_one() -> None:
    model = _relu([None, 4, "width"], [None, 4, "width"])
    proto = onnx.load_from_string(finish(model, model))
    shapes = (value.type.tensor_type.shape.dim for value in (*proto.graph.input, *proto.graph.output))
    axes = [[axis.dim_param or axis.dim_value for axis in shape] for shape in shapes]
    assert axes == [["x_0", 4, "width"], ["y_0", 4, "width"]]
    assert fault_of(to_bytes(model)) is None


def test_what_shape_inference_finds_is_not_shipped() -> None:
    model = onnx.shape_inference.infer_shapes(ir.to_proto(graph("a = Relu(x) y = Relu(a)")))
    assert [value.name for value in model.graph.value_info] == ["a"]
    shipped = onnx.load_from_string(finish(ir.from_proto(model), ir.from_proto(model)))
    assert not shipped.graph.value_info
    (found,), (known,) = onnx.shape_inference.infer_shapes(shipped).graph.value_info, model.graph.value_info
    assert found.type == known.type


def test_notes_on_operators_are_not_shipped_and_those_on_the_model_are() -> None:
    model = ir.to_proto(graph("y = Mul(x, table)", table=draw(4, 8, 8)))
    bare = len(finish(ir.from_proto(model), ir.from_proto(model)))
    model.graph.node[0].doc_string = model.graph.initializer[0].doc_string = "File '/home/me/net.py', line 3" * 9
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="Traceback" * 99)
    assert len(finish(ir.from_proto(model), ir.from_proto(model))) == bare
    model.metadata_props.add(key="labels", value="cat, dog")
    (kept,) = onnx.load_from_string(finish(ir.from_proto(model), ir.from_proto(model))).metadata_props
    assert kept.value == "cat, dog"


@pytest.mark.arithmetic
@pytest.mark.parametrize("arithmetic", ["exact", "native"])
@given(drawn_graphs())
def test_what_ships_answers_as_what_was_quantized(arithmetic: Arithmetic, model: ir.Model) -> None:
    batches = Batches(
        role="calibration", source=lambda: [draw(4, 4, 8, 8)], inputs=InputNames(names=("x",), required=1)
    )
    quantized = quantize_static(model, Quantization(enabled=True, scheme="qnnpack"), batches, Progress()).model
    content, inputs = finish(quantized, model), {"x": draw(2, 4, 8, 8, seed=9)}
    assert len(content) < len(compact(quantized))
    before, after = (
        run_session(open_session(each, 1, arithmetic=arithmetic), inputs)[0] for each in (quantized, content)
    )
    np.testing.assert_array_equal(before, after)


@given(drawn_graphs())
def test_layers_are_found_in_what_ships(model: ir.Model) -> None:
    batches = Batches(
        role="calibration", source=lambda: [draw(4, 4, 8, 8)], inputs=InputNames(names=("x",), required=1)
    )
    quantized = quantize_static(model, Quantization(enabled=True), batches, Progress()).model
    shipped = ir.from_proto(onnx.load_from_string(finish(quantized, model)))
    assert [layer for _, layer in layers_of(shipped.graph)] == [layer for _, layer in layers_of(quantized.graph)]


def test_attributes_that_say_the_default_are_not_shipped() -> None:
    said = 'group = 1, auto_pad = "NOTSET", strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0]'
    model = graph(f"y = Conv<{said}, kernel_shape = [3, 3]>(x, w)", w=draw(4, 4, 3, 3))
    content = finish(model, model)
    assert [each.name for each in onnx.load_from_string(content).graph.node[0].attribute] == ["kernel_shape"]
    before, after = (run(each, draw(2, 4, 8, 8)) for each in (model, ir.from_proto(onnx.load_from_string(content))))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("said", ["group = 2", "strides = [1, 2]", "pads = [0, 0, 0, 1]", "dilations = [2, 1]"])
def test_attributes_that_say_something_are_shipped(said: str) -> None:
    model = graph(f"y = Conv<{said}>(x, w)", w=draw(6, 2 if "group" in said else 4, 3, 3))
    (node,) = onnx.load_from_string(finish(model, model)).graph.node
    assert [each.name for each in node.attribute] == [said.split()[0]]


def test_an_attribute_that_has_to_be_there_is_shipped() -> None:
    model = graph("y = Concat<axis = 1>(x, x)")
    assert onnx.load_from_string(finish(model, model)).graph.node[0].attribute[0].i == 1


def test_shapes_that_contradict_the_operators_are_one_line() -> None:
    model = _relu(["batch", 4], ["batch", 5])
    with pytest.raises(EdgecompressError, match=r"the artifact is not valid ONNX: .*\(4\) vs \(5\)") as caught:
        finish(model, model)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 3
    with pytest.raises(ModelError, match=r"the ONNX model is not valid: .*\(4\) vs \(5\); export it again"):
        require_valid(model)


def test_a_user_s_model_is_checked_before_anything_is_done() -> None:
    with pytest.raises(ModelError, match="the ONNX model is not valid"):
        edgecompress.compress(_relu(["batch", 4], ["batch", 5]), calibration=[[0.0]])


def test_what_weighs_is_judged_by_the_file_with_short_names() -> None:
    """Its zero points are more than a percent of the file that ships, and less while its values have long names."""
    weights = {f"w{layer}": draw(128, 4 if layer == 0 else 128, 1, 1, seed=layer) for layer in range(2)}
    model = graph("a = Conv(x, w0) b = Relu(a) y = Conv(b, w1)", **weights)
    for value in (output for each in model.graph for output in each.outputs if not output.is_graph_output()):
        value.name = f"{value.name}_{'long' * 500}"
    batches = Batches(
        role="calibration", source=lambda: [draw(4, 4, 8, 8)], inputs=InputNames(names=("x",), required=1)
    )
    quantized = quantize_static(model, Quantization(enabled=True), batches, Progress()).model
    zeros = sum(
        value.const_value.nbytes
        for value in quantized.graph.initializers.values()
        if value.const_value is not None and value.dtype is ir.DataType.INT8 and len(value.const_value.shape) == 1
    )
    shipped = finish(quantized, model)
    assert zeros > 0.01 * len(shipped)
    assert zeros < 0.01 * len(to_bytes(quantized))
    assert "ConstantOfShape" in [node.op_type for node in onnx.load_from_string(shipped).graph.node]


def test_names_that_got_lost_are_an_error() -> None:
    with pytest.raises(EdgecompressError, match="the artifact's outputs are called z, those of the model y"):
        finish(_relu(["batch"], ["batch"], output="z"), _relu(["batch"], ["batch"]))


def test_operators_of_onnx_runtime_s_own_pass() -> None:
    node = helper.make_node("QuickGelu", ["x"], ["y"], domain="com.microsoft")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy")
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    proto = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=opsets, ir_version=10)
    assert fault_of(proto.SerializeToString()) is None


def test_bytes_that_are_no_model_are_a_fault() -> None:
    assert fault_of(b"no model")
