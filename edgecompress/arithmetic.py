"""Arithmetic: what the sums of 8-bit products come to, on a CPU as it is and by the letter of the file.

x86 without VNNI adds products of uint8 activations and int8 weights in pairs in 16 bits, and a pair past 2^15
saturates there. ONNX Runtime's session option ``session.x64quantprecision`` makes the weights uint8 on such CPUs,
whose products are added exactly, a third slower; it changes nothing on other CPUs.

A MatMul of int8 weights and of activations that are no 8-bit integers, such as the uint16 ones of files for an NPU, it
computes with activations that it rounds to int8 in blocks, unless another option asks for float ones. That is 45 dB
where the file means 89 dB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import onnx_ir as ir
import onnx_ir.passes.common as passes

Arithmetic = Literal["exact", "native"]
"""``exact`` is what the file means, and what every CPU that does not saturate gives; ``native`` is what this CPU does
with the file by default."""

EXACT_OPTION = "session.x64quantprecision"
"""ONNX Runtime's session option for exact sums; ``"1"`` turns it on."""
FLOAT_PRODUCTS = ("session.qdq_matmulnbits_accuracy_level", "1")
"""ONNX Runtime's session option for MatMuls of int8 weights and floats, and its value for float products."""
SHARED = "replace the existing tensor"
"""Text with which ONNX Runtime refuses, under that option, a file in which two layers share int8 constants."""

PRODUCTS = """
<ir_version: 10, opset_import: ["" : 20]>
products (uint8[1, 4] x, int8[4, 16] w) => (int32[1, 16] y) { y = MatMulInteger(x, w) }
"""
"""Sums of four products of an 8-bit activation and an 8-bit weight."""


def unshared(model: ir.Model) -> ir.Model:
    """A copy in which every reader of an int8 constant has its own, as exact sessions need it.

    ONNX Runtime writes the uint8 form of a weight, and of its zero point, once for each layer that reads them.
    Constants may be initializers or Constant nodes, in branches and loop bodies too.
    """
    copied = model.clone()
    passes.LiftConstantsToInitializersPass(size_limit=0)(copied)
    for node in [*ir.traversal.RecursiveGraphIterator(copied.graph)]:
        if node.op_type == "DequantizeLinear" and _is_int8(node.inputs[0]):
            _split(node)
    for graph in (copied.graph, *copied.graph.subgraphs()):
        for value in [*_int8_constants(graph)]:
            for number, (reader, index) in enumerate([*value.uses()][1:]):
                reader.replace_input_with(index, _twin(graph, value, number))
    return copied


def _split(dequantize: ir.Node) -> None:
    """One DequantizeLinear for each reader of its output."""
    output, graph = dequantize.outputs[0], dequantize.graph
    assert graph is not None
    for number, (reader, index) in enumerate([*output.uses()][1:]):
        twin = ir.node("DequantizeLinear", dequantize.inputs, dequantize.attributes, name=f"{dequantize.name}/{number}")
        twin.outputs[0].name = f"{output.name}/{number}"
        graph.insert_after(dequantize, twin)
        reader.replace_input_with(index, twin.outputs[0])


def _int8_constants(graph: ir.Graph) -> Iterator[ir.Value]:
    return (value for value in graph.initializers.values() if _is_int8(value))


def _is_int8(value: ir.Value | None) -> bool:
    return value is not None and value.const_value is not None and value.const_value.dtype == ir.DataType.INT8


def _twin(graph: ir.Graph, value: ir.Value, number: int) -> ir.Value:
    assert value.const_value is not None
    name = f"{value.name}/{number}"
    while name in graph.initializers:
        name += "_"
    twin = ir.val(name, const_value=ir.tensor(value.const_value.numpy(), name=name))
    graph.register_initializer(twin)
    return twin
