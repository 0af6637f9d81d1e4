"""Readers of integer products that write floats, in forms that leave these products integer.

ONNX Runtime looks from a product past a Relu or Clip for the QuantizeLinear behind it, and where there is none, it runs
the product in floats, and turns its weights back at each call. A product of matrices and a sum become one Gemm before
it looks for integers at all. As Max, Min and Sum these do the same, and it sees only the product.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import initializer, node, substitute
from edgecompress.quantization.operators import SATURATING

MATRIX = 2
"""Axes of one."""


def hides_product(reader: ir.Node) -> bool:
    """Whether a node keeps ONNX Runtime from seeing an integer product right before it.

    A sum does so where it is one of matrices; of more axes, ONNX Runtime makes no Gemm.
    """
    if reader.op_type == "Add":
        shapes = [None if value is None else value.shape for value in reader.inputs]
        return max((len(shape) for shape in shapes if shape is not None), default=0) == MATRIX
    return reader.op_type in SATURATING


def reveal_product(graph: ir.Graph, reader: ir.Node) -> None:
    """Write the reader of a product in another form, under its own name; the same floats come out.

    Args:
        graph: that of the reader, changed in place.
        reader: one that hides a product.
    """
    name = str(reader.name)
    if reader.op_type == "Add":
        made = [node("Sum", reader.inputs, "", name)]
    elif reader.op_type == "Relu":
        zero = initializer(graph, f"{name}/low", np.array(0, np.float32))
        made = [node("Max", [reader.inputs[0], zero], "", name)]
    else:
        low, high = [*reader.inputs[1:], None, None][:2]
        bounds = [(kind, bound) for kind, bound in (("Max", low), ("Min", high)) if bound is not None]
        made, value = [], reader.inputs[0]
        for kind, bound in bounds:
            made.append(node(kind, [value, bound], f"{name}/clip", f"{name}/clip"))
            value = made[-1].outputs[0]
        if not made:
            return
        made[-1].name = name
    substitute(graph, reader, made)
