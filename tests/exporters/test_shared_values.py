"""Values with several readers: no fusion is lost, and nobody reads the wrong numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import execute
from tests.exporters.graphs import draw, graph

pytestmark = pytest.mark.arithmetic
DATA = [draw(16, 4, 8, 8, seed=seed) for seed in range(2)]
FRESH = {"x": draw(16, 4, 8, 8, seed=9)}
CONV = "Conv<pads=[1,1,1,1]>"
GATE = "HardSigmoid<alpha=0.1666667>"
CONSTANTS: dict[str, Any] = {"w": draw(4, 4, 3, 3) * np.float32(0.3), "zero": np.float32(0), "six": np.float32(6)}


def _quantize(model: ir.Model, scheme: str = "fbgemm") -> ir.Model:
    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization.model_validate({"enabled": True, "scheme": scheme})
    return quantize_static(model, recipe, batches, Progress()).model


def _model(body: str, *outputs: str) -> ir.Model:
    model = graph(body, **{name: np.asarray(constant) for name, constant in CONSTANTS.items() if name in body})
    values = {str(value.name): value for node in model.graph for value in node.outputs}
    for name in outputs:
        model.graph.outputs.append(values[name])
    return model


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
@pytest.mark.parametrize(
    ("body", "outputs", "kernels"),
    [
        (f"a = {CONV}(x, w) s = Sin(a) b = {CONV}(a, w) t = Tanh(b) y = Add(t, s)", (), {"QLinearConv": 2, "Add": 1}),
        (f"a = {CONV}(x, w) r = Relu(a) b = {CONV}(r, w) y = Add(a, b)", (), {"QLinearConv": 2, "QLinearAdd": 1}),
        (
            f"a = {CONV}(x, w) r = Clip(a, zero, six) b = {CONV}(r, w) y = Add(a, b)",
            (),
            {"QLinearConv": 2, "QLinearAdd": 1},
        ),
        (f"a = {CONV}(x, w) r = Relu(a) y = {CONV}(r, w)", ("a",), {"QLinearConv": 2}),
        (f"a = {CONV}(x, w) r = Relu(a) y = {CONV}(r, w)", ("r",), {"QLinearConv": 2}),
        (
            f"a = {CONV}(x, w) l, r = Split<axis=1, num_outputs=2>(a) c = Concat<axis=1>(r, l) y = {CONV}(c, w)",
            ("l",),
            {"QLinearConv": 2, "Split": 1, "QLinearConcat": 1},
        ),
        (f"a = {CONV}(x, w) g = {GATE}(a) m = Mul(a, g) y = {CONV}(m, w)", ("g",), {"QLinearConv": 2, "QLinearMul": 1}),
        (
            f"a = {CONV}(x, w) g = {GATE}(a) m = Mul(a, g) b = {CONV}(m, w) y = Add(a, b)",
            (),
            {"QLinearConv": 2, "QLinearMul": 1, "QLinearAdd": 1},
        ),
        (
            f"a = {CONV}(x, w) p = MaxPool<kernel_shape=[2,2]>(a) g = {GATE}(p) y = {CONV}(g, w)",
            (),
            {"QLinearConv": 2, "MaxPool": 1},
        ),
        (
            f"a = {CONV}(x, w) t = Sin(a) g = {GATE}(a) m = Mul(a, g) b = {CONV}(m, w) y = Add(b, t)",
            (),
            {"QLinearConv": 2, "QLinearMul": 1},
        ),
    ],
)
def test_every_reader_gets_the_right_numbers(
    scheme: str, body: str, outputs: tuple[str, ...], kernels: dict[str, int]
) -> None:
    model = _model(body, *outputs)
    quantized = _quantize(model, scheme)
    assert [value.name for value in quantized.graph.outputs] == ["y", *outputs]
    counts = Counter(node.op_type for node in optimized_graph(quantized))
    assert {op: counts[op] for op in kernels} == kernels
    assert Agreement.between(execute(model, FRESH), execute(quantized, FRESH)).sqnr_db > 24


def test_one_value_is_quantized_once_for_all_of_its_readers() -> None:
    body = f"t = Sin(x) q = {CONV}(t, w) k = {CONV}(t, w) v = {CONV}(t, w) m = Mul(q, k) y = Add(m, v)"
    quantized = _quantize(_model(body))
    readers = [node for node in quantized.graph if node.op_type == "QuantizeLinear" and node.inputs[0].name == "t"]  # type: ignore[union-attr]
    assert len(readers) == 1
    counts = Counter(node.op_type for node in optimized_graph(quantized))
    assert (counts["QuantizeLinear"], counts["QLinearConv"]) == (1, 3)
