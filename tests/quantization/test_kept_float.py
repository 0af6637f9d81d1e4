"""What stays float for speed: convolutions over few channels, as long as nothing before them is integer."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from edgecompress.data.batches import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.kept_float import (
    BY_RECIPE,
    BY_SPEED,
    MOST_DEPTHWISE,
    kept_float,
    narrow_entry,
    unmatched,
)
from edgecompress.quantization.placement import place
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from tests.exporters.graphs import Array, draw

PADS = "pads=[1,1,1,1]"


def _network(body: str, channels: int = 3, **weights: Array) -> ir.Model:
    """A model ``float[N,channels,8,8] x -> y`` whose nodes are named by what they compute."""
    opset, given = '<ir_version: 10, opset_import: ["" : 20]>', f"float[N,{channels},8,8] x"
    proto = onnx.parser.parse_model(f"{opset} main ({given}) => (float[N,d1,d2,d3] y) {{ {body} }}")
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    for node in proto.graph.node:
        node.name = node.output[0]
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def _stem(inputs: int, outputs: int, size: int = 3) -> list[str]:
    body = f"y = Conv<pads=[{','.join([str(size // 2)] * 4)}]>(x, w)"
    return narrow_entry(_network(body, inputs, w=draw(outputs, inputs, size, size)).graph)


@pytest.mark.parametrize(("inputs", "outputs", "size"), [(3, 16, 3), (3, 64, 3), (1, 32, 7), (2, 8, 5)])
def test_a_stem_over_few_channels_is_faster_as_floats(inputs: int, outputs: int, size: int) -> None:
    assert _stem(inputs, outputs, size) == ["y"]


@pytest.mark.parametrize(("inputs", "outputs", "size"), [(4, 16, 3), (3, 96, 3), (3, 64, 7)])
def test_a_stem_with_more_to_multiply_is_not(inputs: int, outputs: int, size: int) -> None:
    assert _stem(inputs, outputs, size) == []


@pytest.mark.parametrize(("channels", "found"), [(MOST_DEPTHWISE, ["s", "y"]), (MOST_DEPTHWISE + 1, ["s"])])
def test_a_depthwise_convolution_of_few_channels_follows_a_float_stem(channels: int, found: list[str]) -> None:
    body = f"s = Conv<{PADS}>(x, w) r = Relu(s) y = Conv<{PADS}, group={channels}>(r, d)"
    assert narrow_entry(_network(body, w=draw(channels, 3, 3, 3), d=draw(channels, 1, 3, 3)).graph) == found


def test_behind_an_integer_layer_no_convolution_is_at_the_entry() -> None:
    body = f"s = Conv<{PADS}>(x, w) p = Conv(s, v) y = Conv<{PADS}, group=8>(p, d)"
    model = _network(body, w=draw(16, 3, 3, 3), v=draw(8, 16, 1, 1), d=draw(8, 1, 3, 3))
    assert narrow_entry(model.graph) == ["s"]


def test_a_sum_with_an_integer_layer_is_not_the_entry() -> None:
    body = f"p = Conv<{PADS}>(x, w) q = Conv<{PADS}>(p, v) t = Add(p, q) y = Conv<{PADS}, group=16>(t, d)"
    model = _network(body, w=draw(16, 3, 3, 3), v=draw(16, 16, 3, 3), d=draw(16, 1, 3, 3))
    assert narrow_entry(model.graph) == ["p"]


@pytest.mark.parametrize("per_group", [1, 2])
def test_groups_of_few_channels_are_not_few_channels(per_group: int) -> None:
    body = f"y = Conv<{PADS}, group=32>(x, w)"
    assert narrow_entry(_network(body, 32 * per_group, w=draw(64, per_group, 3, 3)).graph) == []


def test_a_network_of_narrow_convolutions_alone_is_told_how_to_become_integer() -> None:
    batches = Batches(
        role="calibration", source=lambda: [draw(4, 3, 8, 8)], inputs=InputNames(names=("x",), required=1)
    )
    model = _network(f"y = Conv<{PADS}>(x, w)", w=draw(16, 3, 3, 3))
    (warning,) = quantize_static(model, Quantization(enabled=True), batches, Progress()).warnings
    assert "quantization.integer_entry=true" in warning


def test_a_computed_weight_is_not_judged() -> None:
    assert narrow_entry(_network(f"k = Abs(w) y = Conv<{PADS}>(x, k)", w=draw(16, 3, 3, 3)).graph) == []


def test_the_entry_stays_float_and_the_rest_is_integer() -> None:
    body = f"s = Conv<{PADS}>(x, w) r = Relu(s) y = Conv<{PADS}>(r, v)"
    model = _network(body, w=draw(16, 3, 3, 3), v=draw(16, 16, 3, 3))
    data = [draw(4, 3, 8, 8, seed=seed) for seed in range(2)]
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))
    result = quantize_static(model, Quantization(enabled=True), batches, Progress())
    kernels = [node.op_type for node in optimized_graph(result.model)]
    assert sum("QLinearConv" in kernel for kernel in kernels) == 1
    assert [(refusal.name, refusal.reason) for refusal in result.refusals] == [
        ("s", BY_SPEED),
        ("r", "its inputs are not integers"),
    ]
    whole = quantize_static(model, Quantization(enabled=True, integer_entry=True), batches, Progress())
    assert whole.refusals == ()


def test_what_the_recipe_names_comes_with_its_own_reason() -> None:
    model = _network(f"stem_1 = Conv<{PADS}>(x, w) y = Relu(stem_1)", w=draw(16, 3, 3, 3))
    both = place(model.graph, kept_float(model.graph, Quantization(keep_float=("stem*",))))
    assert [refusal.reason for refusal in both.refusals if refusal.name == "stem_1"] == [BY_RECIPE]
    kept = kept_float(model.graph, Quantization(keep_float=("y", "head*")))
    assert kept.keys() == {"stem_1", "y", "head*"}
    assert kept["y"] != kept["stem_1"] == BY_SPEED
    assert unmatched(model.graph, ("y", "head*")) == ("head*",)
    assert kept_float(model.graph, Quantization(integer_entry=True)) == {}
