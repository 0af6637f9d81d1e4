"""Kernels are those that ONNX Runtime runs, by the numbers that they read."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgecompress.arrays import Array
from edgecompress.diagnosis.kernels import measure_kernels
from edgecompress.progress import Progress
from edgecompress.quantization.dynamic_lstm import quantize_lstm
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from tests.diagnosis.quantized import BATCH, BATCHES, TWO_LAYERS
from tests.exporters.graphs import draw, graph


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


X, Y = "uint8[1,4,6,6] x", "uint8[A,B,C,D] y"
MATRIX, PRODUCT = "uint8[6,4] x", "[A,B] y"
KERNELS = [
    ("QLinearConcat", "integer", f"({X}) => ({Y})", "M.QLinearConcat<axis=1>(s, z, x, s, z, x, s, z)"),
    ("QLinearWhere", "integer", f"(bool[6] c, {X}) => ({Y})", "M.QLinearWhere(c, x, s, z, x, s, z, s, z)"),
    ("QLinearSoftmax", "integer", f"({X}) => ({Y})", "M.QLinearSoftmax<axis=-1, opset=13>(x, s, z, s, z)"),
    ("QLinearGlobalAveragePool", "integer", f"({X}) => ({Y})", "M.QLinearGlobalAveragePool(x, s, z, s, z)"),
    ("QLinearAveragePool", "integer", f"({X}) => ({Y})", "M.QLinearAveragePool<kernel_shape=[2, 2]>(x, s, z, s, z)"),
    ("QLinearAdd", "integer", f"({X}) => ({Y})", "M.QLinearAdd(x, s, z, x, s, z, s, z)"),
    ("QLinearMul", "integer", f"({X}) => ({Y})", "M.QLinearMul(x, s, z, x, s, z, s, z)"),
    ("QLinearSigmoid", "integer", f"({X}) => ({Y})", "M.QLinearSigmoid(x, s, z, s, z)"),
    ("QLinearLeakyRelu", "integer", f"({X}) => ({Y})", "M.QLinearLeakyRelu(x, s, z, s, z)"),
    ("QLinearMatMul", "integer", f"({MATRIX}) => (uint8{PRODUCT})", "QLinearMatMul(x, s, z, w, s, z, s, z)"),
    ("QGemm", "integer", f"({MATRIX}) => (uint8{PRODUCT})", "M.QGemm(x, s, z, w, s, z, , s, z)"),
    ("QGemm", "integer", f"({MATRIX}) => (float{PRODUCT})", "M.QGemm(x, s, z, w, s, z)"),
    ("MatMulInteger", "integer", f"({MATRIX}) => (int32{PRODUCT})", "MatMulInteger(x, w, z, z)"),
    ("MatMulIntegerToFloat", "integer", f"({MATRIX}) => (float{PRODUCT})", "M.MatMulIntegerToFloat(x, w, s, s, z, z)"),
    ("DynamicQuantizeMatMul", "integer", f"(float[6,4] x) => (float{PRODUCT})", "M.DynamicQuantizeMatMul(x, w, s, z)"),
    ("ConvInteger", "integer", f"({X}) => (int32[A,B,C,D] y)", "ConvInteger(x, k, z, z)"),
    ("NhwcMaxPool", "integer", f"({X}) => ({Y})", "M.NhwcMaxPool<kernel_shape=[2, 2]>(x)"),
    ("MaxPool", "integer", f"({X}) => ({Y})", "MaxPool<kernel_shape=[2, 2]>(x)"),
    ("Resize", "integer", f"({X}) => ({Y})", 'Resize<mode="nearest">(x, , twice)'),
    ("Transpose", "integer", f"({X}) => ({Y})", "Transpose<perm=[0, 3, 1, 2]>(x)"),
    ("Concat", "integer", f"({X}) => ({Y})", "Concat<axis=1>(x, x)"),
    ("Gather", "integer", f"({X}) => ({Y})", "Gather<axis=1>(x, last)"),
    ("Where", "integer", f"(bool[6] c, {X}) => ({Y})", "Where(c, x, z)"),
    ("Where", "float", "(bool[6] c, float[1,4,6,6] x) => (float[A,B,C,D] y)", "Where(c, x, s)"),
    ("Where", "other", "(bool[6] c, int64[6] x) => (int64[A] y)", "Where(c, x, last)"),
    ("Concat", "float", "(float[6,4] x) => (float[A,B] y)", "Concat<axis=1>(x, x)"),
    ("Gather", "float", "(float[6,4] x) => (float[A,B] y)", "Gather<axis=1>(x, last)"),
    ("Gather", "other", "(int64[6,4] x) => (int64[A,B] y)", "Gather<axis=1>(x, last)"),
    ("Shape", "other", "(uint8[N,4] x) => (int64[A] y)", "Shape(x)"),
    ("Cast", "conversion", f"({X}) => (float[A,B,C,D] y)", "Cast<to=1>(x)"),
    ("Cast", "conversion", f"(float[1,4,6,6] x) => ({Y})", "Cast<to=2>(x)"),
    ("Cast", "other", "(bool[6] c) => (float[A] y)", "Cast<to=1>(c)"),
    ("DynamicQuantizeLinear", "conversion", "(float[6,4] x) => (uint8[A,B] y)", "DynamicQuantizeLinear(x)"),
]
CONSTANTS = {
    "s": np.float32(0.1),
    "z": np.uint8(3),
    "w": np.ones((4, 4), np.uint8),
    "k": np.ones((2, 4, 3, 3), np.uint8),
    "last": np.array([3]),
    "twice": np.array([1, 1, 2, 2], np.float32),
}


@pytest.mark.parametrize(("operator", "numbers", "tensors", "call"), KERNELS)
def test_the_types_of_a_kernel_say_what_it_computes_with(operator: str, numbers: str, tensors: str, call: str) -> None:
    results = "y, scale, zero" if operator == "DynamicQuantizeLinear" else "y"
    domains = '"" : 20, "com.microsoft" : 1'
    text = f"<ir_version: 10, opset_import: [{domains}]> m {tensors} {{ {results} = {call} }}"
    proto = onnx.parser.parse_model(text.replace("M.", "com.microsoft."))
    read = proto.graph.node[0].input
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items() if name in read
    )
    inputs = {declared.name: _ones(declared) for declared in proto.graph.input}
    (kernel,) = measure_kernels(proto.SerializeToString(), inputs, threads=1)
    assert (kernel.operator, kernel.numbers) == (operator, numbers)


def _ones(declared: onnx.ValueInfoProto) -> Array:
    declared_type = declared.type.tensor_type
    shape = [dim.dim_value or 1 for dim in declared_type.shape.dim]
    return np.ones(shape, onnx.helper.tensor_dtype_to_np_dtype(declared_type.elem_type))


def test_a_join_of_integers_is_integer() -> None:
    joined = graph(
        "a = Conv(x, v) b = Conv(x, w) j = Concat<axis=1>(a, b) y = Conv(j, u)",
        v=draw(4, 4, 1, 1, seed=1),
        w=draw(4, 4, 1, 1, seed=2),
        u=draw(4, 8, 1, 1, seed=3),
    )
    artifact = quantize_static(joined, Quantization(scheme="qnnpack"), BATCHES, Progress()).model
    kernels = measure_kernels(to_bytes(artifact), BATCH.sample(1).inputs, threads=1)
    assert {kernel.numbers for kernel in kernels if "Concat" in kernel.operator} == {"integer"}


def test_shares_add_up_and_the_largest_is_first() -> None:
    shares = [kernel.share for kernel in measure_kernels(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=1)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
