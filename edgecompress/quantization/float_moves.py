"""What runs on integers without pairs around it, written between DequantizeLinear and QuantizeLinear.

ONNX Runtime's CPU kernels move integers as they are, and the file says so: QuantizeLinear, MaxPool, DequantizeLinear.
The compiler of an NPU asks what the integers mean, and takes a node only where its inputs and outputs say it. The
numbers stay what they are, except where integers change their meaning: a HardSigmoid, written as a relabelling, is one
again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import constant, insert_after, node
from edgecompress.quantization.qdq_pairs import DEQUANTIZE, QUANTIZE, params_of


@dataclass(frozen=True, kw_only=True)
class _Meaning:
    """Scale and zero point of integers, as inputs of Q and DQ."""

    constants: tuple[ir.Value | None, ...]

    def pair(self, value: ir.Value, operator: str, output: str) -> ir.Node:
        """The node that quantizes a value so, or dequantizes it."""
        return node(operator, [value, *self.constants], output, output)


def move_floats(graph: ir.Graph) -> list[str]:
    """Write every node that reads integers of a QuantizeLinear between pairs; returns the names of the nodes.

    Args:
        graph: quantized; it is changed.
    """
    meanings: dict[ir.Value, _Meaning] = {}
    moved = []
    for current in list(graph):
        if current.op_type == QUANTIZE:
            meanings[current.outputs[0]] = _Meaning(constants=tuple(current.inputs[1:]))
            continue
        first = current.inputs[0] if current.inputs else None
        if current.op_type == DEQUANTIZE or first is None or first not in meanings:
            continue
        meaning = meanings[first]
        _open(graph, current, meaning)
        for output in list(current.outputs):
            meanings[_close(graph, current, output, meaning)] = meaning
        moved.append(str(current.name))
    _restore_hard_sigmoids(graph, meanings)
    return moved


def _open(graph: ir.Graph, current: ir.Node, meaning: _Meaning) -> None:
    """Let a node read floats."""
    name = str(current.name)
    for index, value in enumerate(current.inputs):
        integer = value is not None and (index == 0 or _is_code(value, current, index))
        if value is not None and integer:
            pair = meaning.pair(value, DEQUANTIZE, f"{name}/float_{index}")
            graph.insert_before(current, pair)
            current.replace_input_with(index, pair.outputs[0])


def _is_code(value: ir.Value, current: ir.Node, index: int) -> bool:
    """Whether an input is another integer of the same meaning: the bounds of a Clip, the fill of a Pad."""
    array = constant(value)
    holds = current.op_type == "Clip" or (current.op_type == "Pad" and index == 2)
    return holds and array is not None and array.dtype in (np.uint8, np.int8)


def _close(graph: ir.Graph, current: ir.Node, output: ir.Value, meaning: _Meaning) -> ir.Value:
    """Let readers of a node's output, which is floats now, read integers; returns these."""
    codes = meaning.pair(output, QUANTIZE, str(output.name))
    output.name = f"{output.name}/float"
    output.type = ir.TensorType(ir.DataType.FLOAT)
    output.replace_all_uses_with(codes.outputs[0])
    codes.replace_input_with(0, output)
    insert_after(graph, current, [codes])
    return codes.outputs[0]


def _restore_hard_sigmoids(graph: ir.Graph, meanings: dict[ir.Value, _Meaning]) -> None:
    """Where integers are read under another meaning than they were written, clip(a x + b, 0, 1) is what is meant."""
    for current in list(graph):
        codes = current.inputs[0] if current.op_type == DEQUANTIZE else None
        if codes is None or codes not in meanings or meanings[codes].constants == tuple(current.inputs[1:]):
            continue
        after = params_of(current)
        real = meanings[codes].pair(codes, DEQUANTIZE, f"{current.name}/before")
        before = params_of(real)
        if before.scale == after.scale and before.zero_point == after.zero_point:
            continue
        alpha = float(after.scale) / float(before.scale)
        beta = float(after.scale) * (int(before.zero_point) - int(after.zero_point))
        gate = node(
            "HardSigmoid", [real.outputs[0]], f"{current.name}/gate", f"{current.name}/gate", alpha=alpha, beta=beta
        )
        written = node(
            QUANTIZE, [gate.outputs[0], *current.inputs[1:]], f"{current.name}/codes", f"{current.name}/codes"
        )
        graph.insert_before(current, [real, gate, written])
        current.replace_input_with(0, written.outputs[0])
