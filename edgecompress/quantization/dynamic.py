"""Dynamic INT8: weights are stored as integers, activations are quantized as the model runs.

MatMul and Gemm with a constant matrix become DynamicQuantizeLinear and MatMulInteger, which ONNX
Runtime fuses; LSTM becomes its DynamicQuantizeLSTM. Everything else with weights stays float and is
named: the dynamic kernel of convolutions is slower than the float one, and GRU and RNN have none. Activations have 8
bits there, so that weights get as few as keep their products from saturating on x86 without VNNI (``weights.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray

from edgecompress.exporters.graph import constant, initializer, is_float, node
from edgecompress.quantization.dynamic_lstm import quantize_lstm, why_no_lstm
from edgecompress.quantization.weights import safe_params
from edgecompress.step import Refusal, StepResult


def quantize_dynamic(model: ir.Model) -> StepResult[ir.Model]:
    """A copy of a float ONNX model whose matrix products and LSTM layers run on int8 weights.

    Weights are int8, symmetric, one scale for each output column. What has weights and stays float is
    refused by name.
    """
    quantized = model.clone()
    done: list[str] = []
    refusals: list[Refusal] = []
    for current in list(quantized.graph):
        reason = _why_float(current)
        if reason is None and current.op_type == "LSTM":
            quantize_lstm(quantized, current)
            done.append(str(current.name))
        elif reason is None:
            _rewrite(quantized.graph, current)
            done.append(str(current.name))
        elif _has_weight(current):
            refusals.append(Refusal(name=str(current.name), kind=current.op_type, reason=reason))
    passes.RemoveUnusedNodesPass()(quantized)
    return StepResult(
        model=quantized, changes=tuple(f"{name} stores int8 weights" for name in done), refusals=tuple(refusals)
    )


NO_KERNEL = {
    "Conv": "its dynamic kernel is slower than the float one",
    "ConvTranspose": "ONNX Runtime has no dynamic kernel for it",
    "Gather": "an embedding is looked up, not multiplied",
    "GRU": "ONNX Runtime has no dynamic kernel for it, only for LSTM",
    "RNN": "ONNX Runtime has no dynamic kernel for it, only for LSTM",
}
"""Operators with weights that stay float, and why."""


def _has_weight(current: ir.Node) -> bool:
    """Whether a node is known to carry weights; recurrent layers do, even where they are computed."""
    if current.op_type in ("LSTM", "GRU", "RNN"):
        return True
    arrays = [array for value in current.inputs if (array := constant(value)) is not None]
    return current.op_type in (*NO_KERNEL, "MatMul", "Gemm") and any(
        array.ndim > 1 and array.dtype.kind == "f" for array in arrays
    )


def _why_float(current: ir.Node) -> str | None:
    """The reason to leave a node float, or None."""
    if current.op_type == "LSTM" and current.domain in ("", "ai.onnx"):
        return why_no_lstm(current)
    if current.op_type not in ("MatMul", "Gemm"):
        return NO_KERNEL.get(current.op_type, "it is no matrix product")
    weight = constant(current.inputs[1])
    if weight is None or weight.ndim != 2 or not is_float(current.inputs[0]):
        return "its second operand is no constant float32 matrix"
    if current.op_type == "Gemm":
        unscaled = (
            current.attributes.get_float("alpha", 1.0) == 1.0 and current.attributes.get_float("beta", 1.0) == 1.0
        )
        if not unscaled or current.attributes.get_int("transA"):
            return "Gemm with alpha, beta or transA has no dynamic kernel"
    return None


def _rewrite(graph: ir.Graph, current: ir.Node) -> None:
    """x W + b with x quantized to uint8 at run time: (x_q - z) W_q * (s_x * s_w) + b."""
    weight = _matrix(current)
    name, output = str(current.name), current.outputs[0]
    params = safe_params(weight, axis=1)
    codes = initializer(graph, f"{name}/weight_quantized", params.quantize(weight))
    zero = initializer(graph, f"{name}/weight/zero_point", params.zero_point)
    scale = initializer(graph, f"{name}/weight/scale", params.scale)
    dynamic = ir.node("DynamicQuantizeLinear", [current.inputs[0]], num_outputs=3, name=f"{name}/quantize")
    for value, suffix in zip(dynamic.outputs, ("quantized", "scale", "zero_point"), strict=True):
        value.name = f"{name}/input_{suffix}"
    x, x_scale, x_zero = dynamic.outputs
    product = node("MatMulInteger", [x, codes, x_zero, zero], f"{name}/product", name)
    real = node("Cast", [product.outputs[0]], f"{name}/real", f"{name}/cast", to=ir.DataType.FLOAT.value)
    both = node("Mul", [x_scale, scale], f"{name}/scales", f"{name}/scales")
    scaled = node("Mul", [real.outputs[0], both.outputs[0]], f"{name}/scaled", f"{name}/scale")
    chain = [dynamic, product, real, both, scaled]
    bias = current.inputs[2] if len(current.inputs) > 2 else None
    if bias is not None:
        chain.append(node("Add", [scaled.outputs[0], bias], f"{name}/biased", f"{name}/bias"))
    last = chain[-1].outputs[0]
    last.name, last.shape, last.type = output.name, output.shape, output.type
    graph.insert_after(current, chain)
    output.replace_all_uses_with(last, replace_graph_outputs=True)
    graph.remove(current, safe=True)


def _matrix(current: ir.Node) -> NDArray[Any]:
    weight = constant(current.inputs[1])
    assert weight is not None
    transposed = current.op_type == "Gemm" and current.attributes.get_int("transB")
    return np.ascontiguousarray(weight.T if transposed else weight)
