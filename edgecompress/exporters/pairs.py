"""Pairs: how a QuantizeLinear and its DequantizeLinear are named after the value between them, and read back."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

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


def zero_point_name(zero_point: NDArray[Any]) -> str:
    """What a zero point is called, for whatever values it is one; of one for each channel, their number is named.

    >>> import numpy as np
    >>> zero_point_name(np.array(0, np.uint8)), zero_point_name(np.zeros(64, np.int8))
    ('zero_point/uint8', 'zero_points/int8/64')
    """
    return f"zero_points/{zero_point.dtype}/{zero_point.size}" if zero_point.ndim else f"zero_point/{zero_point.dtype}"


def read_params(graph: ir.Graph, value: str) -> QuantParams | None:
    """Scale and zero point of a value's pair; None where the graph has no pair for it."""
    for node in graph:  # by the node's name: what it writes may have to be called as an output of the graph
        if node.op_type == "DequantizeLinear" and node.name == floats_name(value):
            scale, zero_point = (constant(node.inputs[place]) for place in (1, 2))
            assert scale is not None
            assert zero_point is not None  # the pairs of activations are written with both
            return QuantParams(scale=scale, zero_point=zero_point)
    return None
