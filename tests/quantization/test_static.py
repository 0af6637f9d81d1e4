"""Static INT8 graphs: what ONNX Runtime fuses, and how close they come to their simulation in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from edgecompress.calibration import SCHEMES
from edgecompress.data.batches import Batches, InputNames
from edgecompress.exporters.graph import constant
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.qdq_pairs import read_params
from edgecompress.quantization.static import quantize_static
from edgecompress.quantization.timed_placement import TimedChoice
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from edgecompress.step import StepResult
from edgecompress.validation.acceptance import Standing
from tests.exporters.graphs import draw, graph, run
from tests.quantization.standings import standing

pytestmark = pytest.mark.arithmetic
PADS = "pads=[1,1,1,1]"
W, W2, B = draw(4, 4, 3, 3) * 0.3, draw(4, 4, 3, 3, seed=1) * 0.3, draw(4, seed=2)
RESIDUAL = f"a = Conv<{PADS}>(x, w, b) r = Relu(a) c = Conv<{PADS}>(r, w2) s = Add(c, r) y = Relu(s)"
RELU6 = f"a = Conv<{PADS}>(x, w, b) r = Clip(a, low, high) y = Conv<{PADS}>(r, w2)"
ZERO, SIX = np.array(0, np.float32), np.array(1.5, np.float32)
DATA = [draw(8, 4, 8, 8, seed=seed) for seed in range(3)]


def _quantize(model: ir.Model, **recipe: Any) -> StepResult[ir.Model]:
    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    return quantize_static(model, Quantization.model_validate({"enabled": True, **recipe}), batches, Progress())


def _counts(model: ir.Model) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in optimized_graph(model):
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_every_convolution_and_residual_add_is_integer(scheme: str, granularity: str) -> None:
    model = graph(RESIDUAL, w=W, w2=W2, b=B)
    counts = _counts(_quantize(model, scheme=scheme, granularity=granularity).model)
    assert counts == {"QuantizeLinear": 1, "QLinearConv": 2, "QLinearAdd": 1, "DequantizeLinear": 1}


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
def test_a_clip_does_not_break_the_convolution(scheme: str) -> None:
    counts = _counts(_quantize(graph(RELU6, w=W, w2=W2, b=B, low=ZERO, high=SIX), scheme=scheme).model)
    assert counts["QLinearConv"] == 2
    assert "Conv" not in counts


def test_a_wildcard_that_keeps_nothing_float_is_a_warning() -> None:
    result = _quantize(graph(RESIDUAL, w=W, w2=W2, b=B), keep_float=["a", "zzz*"])
    assert result.warnings == ("quantization.keep_float: no node has a name like 'zzz*'; inspect lists the names",)


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
@pytest.mark.parametrize("body", [RESIDUAL, RELU6], ids=["residual", "relu6"])
def test_the_artifact_computes_what_onnx_says_that_it_means(scheme: str, body: str) -> None:
    ends = {"low": ZERO, "high": SIX} if body is RELU6 else {}
    quantized = _quantize(graph(body, w=W, w2=W2, b=B, **ends), scheme=scheme).model
    reference = ReferenceEvaluator(ir.to_proto(quantized))
    (wanted,) = reference.run(None, {"x": DATA[0]})
    last = max(
        (
            float(array)
            for name, value in quantized.graph.initializers.items()
            if name.endswith("/scale") and (array := constant(value)) is not None and array.ndim == 0
        ),
        default=0.0,
    )
    # The runtime rounds each integer sum once more than the float simulation: a step, now and then.
    assert np.abs(run(quantized, DATA[0]) - np.asarray(wanted)).max() <= 2 * last


def test_a_bit_is_worth_six_decibels() -> None:
    # Rounding to half the step halves the error: 20 log10(2) = 6.02 dB between 7 and 8 bits of activation.
    # The int8 weights are the same in both, and take a part of that.
    model = graph(RESIDUAL, w=W, w2=W2, b=B)
    fresh = draw(8, 4, 8, 8, seed=9)
    float_output = run(model, fresh)
    seven, eight = (
        Agreement.between([float_output], [run(_quantize(model, scheme=scheme).model, fresh)]).sqnr_db
        for scheme in ("fbgemm", "qnnpack")
    )
    assert eight - seven == pytest.approx(6.02, abs=1.0)


def test_a_bias_has_the_product_of_the_scales() -> None:
    quantized = _quantize(graph(RESIDUAL, w=W, w2=W2, b=B), scheme="qnnpack").model
    stored = {name: constant(value) for name, value in quantized.graph.initializers.items()}
    scale = stored["a/bias/scale"]
    assert scale is not None
    np.testing.assert_array_equal(scale, stored["x/scale"] * stored["a/weight/scale"])  # type: ignore[operator]
    codes = stored["a/bias/q"]
    assert codes is not None
    assert codes.dtype == np.int32
    np.testing.assert_allclose(codes * scale.astype(np.float64), B, atol=float(scale.max()) / 2)


def test_a_dead_channel_does_not_overflow_its_bias() -> None:
    weight, bias = W.copy(), np.full(4, 3.0, np.float32)
    weight[1] = 1e-12
    model = graph(f"y = Conv<{PADS}>(x, w, b)", w=weight, b=bias)
    quantized = _quantize(model).model
    np.testing.assert_allclose(run(quantized, DATA[0])[:, 1], 3.0, atol=0.1)


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_a_dead_channel_of_a_product_does_not_overflow_what_is_added_to_it(granularity: str) -> None:
    # ONNX Runtime makes one layer of both, and an INT32 bias of what is added.
    width = DATA[0].shape[-1]
    weight, last, bias = draw(width, 4), draw(4, 3), 300 * draw(4, seed=5)
    weight[:, 1] = 1e-12
    weight *= np.float32(1e-12) if granularity == "per_tensor" else 1
    model = graph("a = MatMul(x, w) h = Add(a, b) y = MatMul(h, v)", w=weight, b=bias, v=last)
    model.graph.inputs[0].shape = ir.Shape(DATA[0].shape)
    quantized = _quantize(model, scheme="qnnpack", granularity=granularity).model
    floats = run(model, DATA[0])
    np.testing.assert_allclose(run(quantized, DATA[0]), floats, atol=0.05 * np.abs(floats).max())


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
def test_a_signal_that_fades_keeps_its_integers(scheme: str) -> None:
    # Weights a power of two smaller scale everything behind them exactly, as in networks that nobody normalizes.
    body, fading = f"a = Conv<{PADS}>(x, w) r = Relu(a) y = Conv<{PADS}>(r, w2)", np.float32(2.0**-30)
    loud = run(_quantize(graph(body, w=W, w2=W2), scheme=scheme).model, DATA[0])
    faint = run(_quantize(graph(body, w=W * fading, w2=W2 * fading), scheme=scheme).model, DATA[0])
    np.testing.assert_array_equal(faint, loud * fading**2)


def test_the_float_model_is_not_modified() -> None:
    model = graph(RESIDUAL, w=W, w2=W2, b=B)
    before = to_bytes(model)
    _quantize(model)
    assert to_bytes(model) == before


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (_quantize(graph(RESIDUAL, w=W, w2=W2, b=B)).model for _ in range(2))
    assert to_bytes(first) == to_bytes(second)


def test_names_of_inputs_and_outputs_stay() -> None:
    quantized = _quantize(graph(RESIDUAL, w=W, w2=W2, b=B)).model
    assert [value.name for value in quantized.graph.inputs] == ["x"]
    assert [value.name for value in quantized.graph.outputs] == ["y"]


def test_a_node_that_is_kept_float_reads_what_the_others_write() -> None:
    model = graph(RESIDUAL, w=W, w2=W2, b=B)
    quantized = _quantize(model, keep_float=["c"])
    counts = _counts(quantized.model)
    assert counts.get("Conv", 0) + counts.get("FusedConv", 0) == 1
    assert counts["QLinearConv"] == 1
    assert any(refusal.name == "c" for refusal in quantized.refusals)
    assert Agreement.between([run(model, DATA[0])], [run(quantized.model, DATA[0])]).sqnr_db > 30


def test_a_model_without_anchors_stays_float_and_says_so() -> None:
    result = _quantize(graph("y = Relu(x)"))
    assert result.warnings == ("no operator of this model has an integer kernel that pays; the artifact stays float",)
    np.testing.assert_array_equal(run(result.model, DATA[0]), np.maximum(DATA[0], 0))


def test_an_output_that_is_also_read_inside_keeps_its_name() -> None:
    text = f"a = Conv<{PADS}>(x, w) y = Relu(a) z = Conv<{PADS}>(y, w2)"
    model = graph(text, w=W, w2=W2)
    extra = next(node.outputs[0] for node in model.graph if node.name == "z")
    extra.shape = ir.Shape(["N", 4, 8, 8])
    model.graph.outputs.append(extra)
    quantized = _quantize(model).model
    assert [value.name for value in quantized.graph.outputs] == ["y", "z"]
    assert _counts(quantized)["QLinearConv"] == 2


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
def test_a_matrix_product_becomes_an_integer_kernel(scheme: str) -> None:
    body = "f = Flatten(x) y = Gemm<transB=1>(f, w, b)"
    model = graph(body, w=draw(5, 256) * 0.1, b=draw(5))
    quantized = _quantize(model, scheme=scheme).model
    assert "Gemm" not in _counts(quantized)
    assert _counts(quantized)["QGemm"] == 1
    assert Agreement.between([run(model, DATA[0])], [run(quantized, DATA[0])]).sqnr_db > 25


def test_params_of_a_scheme_are_what_is_written() -> None:
    quantized = _quantize(graph(f"y = Conv<{PADS}>(x, w)", w=W), scheme="fbgemm").model
    params = read_params(quantized.graph, "x")
    assert params is not None
    assert params.quantize(np.concatenate(DATA)).max() <= SCHEMES["fbgemm"].quant_max + 128
    assert params.zero_point.dtype == np.uint8
    assert params.scale.ndim == 0


SANDWICHED = {
    "Conv": f"a = Conv<{PADS}>(x, w, b) r = Relu(a) c = Conv<{PADS}>(r, w2, b) s = Relu(c) y = Conv<{PADS}>(s, w)",
    "Gemm": f"a = Conv<{PADS}>(x, w, b) f = Flatten(a) c = Gemm(f, m, v) s = Relu(c) y = Gemm(s, n)",
}


@pytest.mark.parametrize("kind", list(SANDWICHED))
def test_a_layer_kept_float_between_integer_ones_is_not_quantized_by_the_runtime(kind: str) -> None:
    constants = {"w": W, "w2": W2, "b": B, "m": draw(256, 8) * 0.1, "v": draw(8), "n": draw(8, 5)}
    model = graph(SANDWICHED[kind], **constants)
    counts = _counts(_quantize(model, keep_float=["c"]).model)
    assert counts.get(kind, 0) + counts.get(f"Fused{kind}", 0) == 1


def test_a_name_of_the_user_is_not_taken_for_a_scale() -> None:
    text = f"m = Mul(x, k) y = Conv<{PADS}>(m, w)"
    model = graph(text, w=W, k=np.array(2, np.float32))
    model.graph.initializers["k"].name = "m/scale"
    quantized = _quantize(model).model
    assert Agreement.between([run(model, DATA[0])], [run(quantized, DATA[0])]).sqnr_db > 30


def test_the_bounds_of_a_folded_clip_do_not_stay_in_the_file() -> None:
    quantized = _quantize(graph(RELU6, w=W, w2=W2, b=B, low=ZERO, high=SIX), scheme="qnnpack").model
    read = {str(value.name) for node in quantized.graph for value in node.inputs if value is not None}
    assert set(quantized.graph.initializers) <= read


def test_values_of_unlike_ranges_in_one_output_keep_a_scale_each() -> None:
    # Boxes in pixels next to logits: under one scale the logits would have four values.
    body = f"a = Conv<{PADS}>(x, w, b) r = Relu(a) p = Conv<{PADS}>(r, far) q = Conv<{PADS}>(r, w2)"
    model = graph(f"{body} y = Concat<axis=1>(p, q)", w=W, w2=W2, b=B, far=W2 * np.float32(1000))
    quantized = _quantize(model).model
    for half in (slice(0, 4), slice(4, 8)):
        wanted, found = (run(each, DATA[0])[:, half] for each in (model, quantized))
        assert Agreement.between([wanted], [found]).sqnr_db > 25


def test_a_model_that_the_recipe_keeps_float_says_that() -> None:
    (warning,) = _quantize(graph(RESIDUAL, w=W, w2=W2, b=B), keep_float=["*"]).warnings
    assert warning.startswith("the recipe keeps float all that could be integer")


def test_a_model_whose_layers_all_returned_says_that() -> None:
    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization(enabled=True, fallback_evaluations=6)
    model = graph(RESIDUAL, w=W, w2=W2, b=B)
    result = quantize_static(model, recipe, batches, Progress(), accept=lambda value: standing(not _is_integer(value)))
    (warning,) = result.warnings
    assert warning.startswith("every layer returned to float for the accuracy budget")
    np.testing.assert_array_equal(run(result.model, DATA[0]), run(model, DATA[0]))


def _is_integer(model: ir.Model) -> bool:
    return any(node.op_type == "QuantizeLinear" for node in model.graph)


WIDE = draw(24, 4, 3, 3, seed=3)


@pytest.mark.parametrize("holds", ["table", "time", "neither"])
def test_a_placement_by_time_gives_way_to_the_table_s_where_only_that_is_within_the_budget(holds: str) -> None:
    model = graph(f"a = Conv<{PADS}>(x, w) r = Relu(a) y = Conv<{PADS}>(r, v)", w=W, v=WIDE)

    def is_stored(tried: ir.Model) -> bool:
        return any(node.op_type == "Cast" for node in tried.graph)

    def accept(tried: ir.Model) -> Standing:
        return standing({"table": not is_stored(tried), "time": is_stored(tried), "neither": False}[holds])

    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization(enabled=True, fallback_evaluations=1)
    choice = TimedChoice(floats=("a", "r", "y"), changes=("by time",))
    result = quantize_static(
        model, recipe, batches, Progress(), accept=accept, choose=lambda _lowering, _batches: choice
    )
    assert is_stored(result.model) is (holds != "table")
    assert any("that of the table after all" in change for change in result.changes) is (holds == "table")
    assert result.changes[0] == "by time"
