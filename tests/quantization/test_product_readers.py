"""Readers of integer products in other forms: the same floats, and ONNX Runtime finds the product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.exporters.canonicalize import prepare_for_integers
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import INTEGER_OPS, optimized_graph
from edgecompress.quantization.product_readers import hides_product, reveal_product
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import execute
from edgecompress.step import StepResult
from tests.exporters.graphs import Array, draw
from tests.quantization.flows import DATA, batches_of, flow

B, LOW, HIGH = draw(32, seed=9), np.float32(-0.5), np.float32(0.25)
READERS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "relu": ("r = Relu(a)", lambda a: np.maximum(a, 0)),
    "clip": ("r = Clip(a, low, high)", lambda a: np.clip(a, LOW, HIGH)),
    "lower bound": ("r = Clip(a, low)", lambda a: np.maximum(a, LOW)),
    "upper bound": ("r = Clip(a, , high)", lambda a: np.minimum(a, HIGH)),
    "no bounds": ("r = Clip(a)", lambda a: a),
    "sum": ("r = Add(a, x)", lambda a: a + DATA[0]),
}


def _model(product: str, reader: str) -> ir.Model:
    return flow(f"{product} {reader} y = Softmax(r)", bb=B, low=LOW, high=HIGH)


def _quantize(model: ir.Model) -> StepResult[ir.Model]:
    recipe = Quantization.model_validate({"enabled": True, "scheme": "qnnpack"})
    return quantize_static(prepare_for_integers(model).model, recipe, batches_of(), Progress())


@pytest.mark.parametrize("kind", sorted(READERS))
def test_the_other_form_gives_the_same_floats(kind: str) -> None:
    reader, wanted = READERS[kind]
    model = flow(f"a = Neg(x) {reader} y = Identity(r)", low=LOW, high=HIGH)
    current = model.graph[1]
    assert hides_product(current)
    reveal_product(model.graph, current)
    np.testing.assert_array_equal(execute(model, {"x": DATA[0]})[0], wanted(-DATA[0]))
    assert "r" in [node.name for node in model.graph], "reports know the reader by its name"


@pytest.mark.parametrize("kind", sorted(set(READERS) - {"no bounds"}))
@pytest.mark.parametrize("product", ["a = MatMul(x, w)", "a = Gemm(x, w, bb)"])
def test_the_product_runs_as_integers(product: str, kind: str) -> None:
    result = _quantize(_model(product, READERS[kind][0]))
    kinds = [node.op_type for node in optimized_graph(result.model)]
    assert sum(kind in INTEGER_OPS for kind in kinds) == 1
    assert "DequantizeLinear" not in kinds, "no weight is turned back at each call"
    assert not result.warnings


def test_a_bias_of_a_matrix_leaves_the_product_integer() -> None:
    model = _model("m = MatMul(x, w) a = Add(m, bb)", "r = Tanh(a)")
    kinds = [node.op_type for node in optimized_graph(_quantize(model).model)]
    assert kinds == ["QuantizeLinear", "MatMulIntegerToFloat", "Sum", "Tanh", "Softmax"]


def test_a_sum_of_more_axes_stays_as_it_is() -> None:
    model = flow(
        "u = Unsqueeze(x, i) m = MatMul(u, w) a = Add(m, bb) z = Tanh(a) y = Squeeze(z, i)", bb=B, i=np.array([1])
    )
    kinds = [node.op_type for node in optimized_graph(_quantize(model).model)]
    assert kinds.count("Add") == 1
    assert kinds.count("MatMulIntegerToFloat") == 1


def test_what_reads_no_product_stays() -> None:
    result = _quantize(flow("n = Neg(x) r = Relu(n) a = MatMul(r, w) y = Softmax(a)"))
    assert "Max" not in [node.op_type for node in result.model.graph]
