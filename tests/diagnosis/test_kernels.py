"""Kernels are those that ONNX Runtime runs, by the numbers that they read."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from edgecompress.diagnosis.kernels import measure_kernels
from edgecompress.progress import Progress
from edgecompress.quantization.dynamic_lstm import quantize_lstm
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from tests.diagnosis.quantized import BATCH, BATCHES, TWO_LAYERS
from tests.exporters.graphs import draw


def test_a_float_model_has_no_integers() -> None:
    found = measure_kernels(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=1)
    assert {each.numbers for each in found} == {"float"}
    assert sum(each.nodes for each in found if "Conv" in each.operator) == 2


def test_an_integer_model_converts_at_its_ends() -> None:
    artifact = quantize_static(TWO_LAYERS, Quantization(scheme="qnnpack"), BATCHES, Progress()).model
    found = {
        (kernel.operator, kernel.numbers): kernel
        for kernel in measure_kernels(to_bytes(artifact), BATCH.sample(1).inputs, 1)
    }
    assert found["QLinearConv", "integer"].nodes == 2
    assert found["QuantizeLinear", "conversion"].nodes == 1
    assert found["DequantizeLinear", "conversion"].nodes == 1


def test_an_operator_that_scales_as_it_runs_computes_in_integers() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]> m (float[6,N,8] x) => (float[T,D,N,H] y) {
      y = LSTM<hidden_size=64>(x, w, r) }"""
    proto = onnx.parser.parse_model(text)
    for name, columns in (("w", 8), ("r", 64)):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(draw(1, 256, columns), name))
    proto.graph.node[0].name, inputs = "layer", {"x": draw(6, 1, 8)}
    model = ir.from_proto(proto)
    quantize_lstm(model, model.graph[0])
    numbers = {kernel.operator: kernel.numbers for kernel in measure_kernels(to_bytes(model), inputs, threads=1)}
    assert numbers["DynamicQuantizeLSTM"] == "integer"


def test_shares_add_up_and_the_largest_is_first() -> None:
    shares = [kernel.share for kernel in measure_kernels(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=1)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
