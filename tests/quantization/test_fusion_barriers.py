"""What is kept float stays float in the graph that ONNX Runtime runs, whatever lies around it."""

from __future__ import annotations

import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecompress.data.batches import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import INTEGER_OPS, optimized_graph
from edgecompress.quantization.operators import FUSED
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.step import StepResult
from tests.exporters.drawn_graphs import drawn_graphs
from tests.exporters.graphs import draw, graph

FUZZING = settings.get_current_profile_name() == "fuzz"
CONV = "Conv<pads=[1,1,1,1]>"
W = draw(4, 4, 3, 3) * 0.3
DATA = [draw(4, 4, 8, 8, seed=seed) for seed in range(2)]
BETWEEN = {
    "Add": "Add(a, c)",
    "AveragePool": "AveragePool<kernel_shape=[2,2]>(a)",
    "Concat": "Concat<axis=2>(a, c)",
    "Conv": f"{CONV}(a, w)",
    "ConvTranspose": "ConvTranspose<pads=[1,1,1,1]>(a, w)",
    "GlobalAveragePool": "GlobalAveragePool(a)",
    "LeakyRelu": "LeakyRelu(a)",
    "MatMul": "MatMul(a, c)",
    "Mul": "Mul(a, c)",
    "Sigmoid": "Sigmoid(a)",
    "Softmax": "Softmax<axis=1>(a)",
}
BEHIND = {
    "a convolution": f"y = {CONV}(k, w)",
    "a move": f"t = Transpose<perm=[0,1,3,2]>(k) y = {CONV}(t, w)",
    "an activation": f"r = Relu(k) y = {CONV}(r, w)",
    "several": f"p = {CONV}(k, w) q = {CONV}(k, w) y = Add(p, q)",
    "floats": "y = Tanh(k)",
}


def _quantize(model: ir.Model, keep_float: tuple[str, ...]) -> StepResult[ir.Model]:
    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization(enabled=True, scheme="fbgemm", keep_float=keep_float)
    return quantize_static(model, recipe, batches, Progress())


def _integers(model: ir.Model) -> set[str]:
    """Names of what ONNX Runtime runs on integers."""
    return {str(node.name) for node in optimized_graph(model) if node.op_type in INTEGER_OPS}


@pytest.mark.parametrize(
    ("kind", "behind"), [*((kind, "a convolution") for kind in BETWEEN), *(("Softmax", behind) for behind in BEHIND)]
)
def test_an_operator_between_integers_is_kept_float(kind: str, behind: str) -> None:
    model = graph(f"a = {CONV}(x, w) c = {CONV}(a, w) k = {BETWEEN[kind]} {BEHIND[behind]}", w=W)
    quantized = _quantize(model, ("k",))
    assert _integers(quantized.model) >= {"a", "c"} - ({"c"} if "c" not in BETWEEN[kind] else set())
    assert "k" not in _integers(quantized.model)
    assert not quantized.warnings


@pytest.mark.parametrize("behind", [f"y = {CONV}(m, w)", f"n = {CONV}(m, w) o = {CONV}(m, w) y = Add(n, o)"])
def test_a_float_pool_is_not_run_on_integers(behind: str) -> None:
    model = graph(f"t = Tanh(x) m = MaxPool<kernel_shape=[2,2]>(t) {behind}", w=W)
    quantized = _quantize(model, ())
    (pool,) = (node for node in optimized_graph(quantized.model) if node.op_type == "MaxPool")
    source = pool.inputs[0]
    assert source is not None
    assert source.producer() is not None
    assert source.producer().op_type == "Tanh"  # type: ignore[union-attr]
    assert [node.op_type for node in quantized.model.graph].count("Sum") == 1


def test_an_integer_pool_and_one_that_floats_read_are_not_copied() -> None:
    for body in (
        f"a = {CONV}(x, w) m = MaxPool<kernel_shape=[2,2]>(a) y = {CONV}(m, w)",
        f"t = Tanh(x) m = MaxPool<kernel_shape=[2,2]>(t) n = {CONV}(m, w) s = Sin(m) y = Add(n, s)",
    ):
        assert "Sum" not in [node.op_type for node in _quantize(graph(body, w=W), ()).model.graph]


def test_each_operator_that_the_runtime_fuses_is_tried() -> None:
    assert FUSED - BETWEEN.keys() == {"Gemm", "Resize", "Where"}  # Gemm is in test_static.py


@settings(max_examples=300 if FUZZING else 20)
@given(drawn_graphs(), st.data())
def test_whatever_is_kept_is_float_and_what_runs_is_what_is_told(model: ir.Model, data: st.DataObject) -> None:
    names = [str(node.name) for node in model.graph if node.op_type in FUSED]
    kept = data.draw(st.sets(st.sampled_from(names))) if names else set()
    quantized = _quantize(model, tuple(sorted(kept)))
    integers = _integers(quantized.model)
    assert not integers & kept
    assert not any("was meant to" in warning for warning in quantized.warnings)
    refused = {refusal.name for refusal in quantized.refusals}
    assert not integers & refused


def test_floats_that_are_there_are_read_without_a_barrier() -> None:
    model = graph(f"t = Tanh(x) a = {CONV}(t, w) k = Sigmoid(t) y = {CONV}(k, w)", w=W)
    quantized = _quantize(model, ("k",)).model
    (kept,) = (node for node in quantized.graph if node.name == "k")
    assert [value.name for value in kept.inputs if value is not None] == ["t"]
