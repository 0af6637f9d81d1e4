"""Equal constants are stored once, and the file still loads where no two operators may read the same int8."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from edgecompress.data.batches import Batches, InputNames
from edgecompress.diagnosis.onnx_layers import layers_of
from edgecompress.exporters.finish import fault_of
from edgecompress.progress import Progress
from edgecompress.quantization.deduplication import store_once
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run

CONV = "Conv<pads=[4,4,4,4]>"
BANK, READERS = draw(4, 4, 9, 9) * np.float32(0.1), 5
DATA = [draw(4, 4, 8, 8, seed=seed) for seed in range(2)]


def _model(opset: int = 20) -> ir.Model:
    """One weight that five convolutions read, each the output of the one before."""
    layers = [f"n{place} = {CONV}({f'n{place - 1}' if place else 'x'}, bank)" for place in range(READERS)]
    model = graph(f"{' '.join(layers)} y = Relu(n{READERS - 1})", bank=BANK)
    model.graph.opset_imports[""] = opset
    return model


def _quantize(model: ir.Model, **recipe: object) -> ir.Model:
    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    asked = Quantization.model_validate({"enabled": True, "scheme": "fbgemm", **recipe})
    return quantize_static(model, asked, batches, Progress()).model


def _int8(model: ir.Model) -> list[ir.Value]:
    found = (value for value in model.graph.initializers.values() if value.dtype is ir.DataType.INT8)
    return [value for value in found if value.shape is not None and len(value.shape) > 1]


@pytest.mark.parametrize("adaround", [False, True])
@pytest.mark.parametrize("opset", [17, 20])
def test_a_weight_of_several_layers_is_stored_once(opset: int, adaround: bool) -> None:
    quantized = _quantize(_model(opset), adaround=adaround)
    assert len(_int8(quantized)) == 1
    assert len(to_bytes(quantized)) < BANK.nbytes
    floats = [value for value in quantized.graph.initializers.values() if value.dtype is ir.DataType.FLOAT]
    assert all(value.shape is not None and len(value.shape) < len(BANK.shape) for value in floats)
    assert fault_of(to_bytes(quantized)) is None
    assert Counter(node.op_type for node in optimized_graph(quantized))["QLinearConv"] == READERS


def test_it_loads_where_each_operator_needs_its_own_int8() -> None:
    bank = BANK.copy()
    bank[:, 0, 0, 0] = bank[:, 1, 0, 0] = 3  # two large ones of one sign in a channel: what would saturate
    quantized = _quantize(graph(f"a = {CONV}(x, bank) y = {CONV}(a, bank)", bank=bank), scheme="qnnpack")
    _give_own_zero_points(quantized)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    ort.InferenceSession(to_bytes(quantized), options)


def _give_own_zero_points(model: ir.Model) -> None:
    for node in model.graph:
        zero = node.inputs[2] if node.op_type == "DequantizeLinear" and len(node.inputs) > 2 else None
        if zero is not None and zero.dtype is ir.DataType.INT8:
            own = ir.val(f"{node.name}/zero", dtype=zero.dtype, shape=zero.shape, const_value=zero.const_value)
            model.graph.register_initializer(own)
            node.replace_input_with(2, own)


def test_nothing_is_computed_otherwise() -> None:
    text = "a = Add(x, k) b = Mul(a, l) y = Add(b, m)"
    k, zero = draw(1, 4, 8, 8), np.float32(0.0)
    model = graph(text, k=k, l=k.copy(), m=np.full_like(k, -zero))
    stored = store_once(model)
    assert len(stored.graph.initializers) == 2
    assert len(model.graph.initializers) == 3
    np.testing.assert_array_equal(run(stored, DATA[0]), run(model, DATA[0]))


def test_a_zero_and_a_negative_zero_are_two_constants() -> None:
    zero = np.zeros((1, 4, 8, 8), np.float32)
    assert len(store_once(graph("a = Add(x, k) y = Add(a, l)", k=zero, l=-zero)).graph.initializers) == 2


def test_an_inspection_finds_the_weight_of_every_reader() -> None:
    layers = [layer for _, layer in layers_of(_quantize(_model()).graph)]
    assert [(layer.kind, layer.parameters) for layer in layers] == [("Conv", BANK.size)] * READERS
