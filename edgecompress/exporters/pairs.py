"""Pairs: how a QuantizeLinear and its DequantizeLinear are named after the value between them, and read back."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.calibration.schemes import QuantParams
from edgecompress.exporters.graph import constant


def codes_name(value: str) -> str:
    """What the integers of a value are called, and the node that writes them.

    >>> codes_name("relu")
    'relu/q'
    """
    return f"{value}/q"


def floats_name(value: str) -> str:
    """What the floats are called that those integers stand for, and the node that writes them.

    >>> floats_name("relu")
    'relu/dq'
    """
    return f"{value}/dq"


def read_params(graph: ir.Graph, value: str) -> QuantParams | None:
    """Scale and zero point of a value's pair; None where the graph has no pair for it."""
    for node in graph:  # by the node's name: what it writes may have to be called as an output of the graph
        if node.op_type == "DequantizeLinear" and node.name == floats_name(value):
            scale, zero_point = (constant(node.inputs[place]) for place in (1, 2))
            assert scale is not None
            assert zero_point is not None  # the pairs of activations are written with both
            return QuantParams(scale=scale, zero_point=zero_point)
    return None
