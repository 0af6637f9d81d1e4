"""Fusion barriers: nodes that keep ONNX Runtime from making integer what is to stay float.

A QuantizeLinear behind a float MaxPool would be moved before it, and the pool run on integers in the layout of floats,
where that takes 50 times as long. A Sum of a single value stands between, and copies.

Where all that an operator computes with comes from DequantizeLinear, and what it writes goes to QuantizeLinear, ONNX
Runtime takes it on itself to run it on integers. A Flatten and a Reshape in between end that, and move no byte; a
Reshape would not do, since ONNX Runtime moves a DequantizeLinear past it.
"""

from __future__ import annotations

from collections.abc import Container

import onnx_ir as ir

from edgecompress.exporters.graph import constant, is_float, node
from edgecompress.quantization.operators import FUSED, RULES, Role


def exposed_input(current: ir.Node, floats: Container[str], quantized: Container[str]) -> int | None:
    """The first input of a float node that integers reach, where ONNX Runtime would make the node integer.

    Args:
        current: a node that is to stay float.
        floats: names of the values that a DequantizeLinear writes.
        quantized: names of the values that get a QuantizeLinear.
    """
    if current.op_type not in FUSED:
        return None
    computed = {
        place: str(value.name)
        for place, value in enumerate(current.inputs)
        if value is not None and is_float(value) and constant(value) is None
    }
    if not computed or not all(name in floats for name in computed.values()):
        return None
    # A product of integers may write floats, too.
    meets = current.op_type == "MatMul" or any(_is_quantized(value, quantized) for value in current.outputs)
    return min(computed) if meets else None


def _is_quantized(value: ir.Value, quantized: Container[str]) -> bool:
    """Whether a QuantizeLinear reads a value, or what is only moved or saturated on the way to it."""
    if str(value.name) in quantized:
        return True
    movers = [reader for reader, _ in value.uses() if _only_moves(reader)]
    return any(_is_quantized(output, quantized) for mover in movers for output in mover.outputs)


def _only_moves(reader: ir.Node) -> bool:
    return reader.op_type in RULES and RULES[reader.op_type].role is Role.PASSTHROUGH


def barrier(real: ir.Value, codes: ir.Value) -> list[ir.Node]:
    """Nodes that copy ``real``; nothing is fused past them, and the last writes the copy.

    Args:
        real: what a DequantizeLinear writes.
        codes: what it reads.
    """
    name = str(real.name)
    shape = node("Shape", [codes], f"{name}/shape", f"{name}/shape")
    flat = node("Flatten", [real], f"{name}/flat", f"{name}/flat")
    whole = node("Reshape", [flat.outputs[0], shape.outputs[0]], f"{name}/whole", f"{name}/whole")
    whole.outputs[0].type = real.type
    return [shape, flat, whole]


def meets_pool(value: ir.Value, placed: Container[str]) -> bool:
    """Whether ONNX Runtime would move a QuantizeLinear of a float value past a MaxPool.

    Args:
        value: what is to be quantized.
        placed: names of the nodes that become integer.
    """
    made_by = value.producer()
    if made_by is None or str(made_by.name) in placed or any(user.name not in placed for user, _ in value.uses()):
        return False
    return made_by.op_type == "MaxPool"


def copied(value: ir.Value) -> ir.Node:
    """A node that copies a value, and that nothing is moved past."""
    made = node("Sum", [value], f"{value.name}/copy", f"{value.name}/copy")
    made.outputs[0].type = value.type
    return made
