"""Pairs: how a QuantizeLinear and its DequantizeLinear are named after the value between them, and read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.calibration.schemes import QuantParams
from edgecompress.exporters.graph import constant, initializer, node

QUANTIZE, DEQUANTIZE = PAIRS = ("QuantizeLinear", "DequantizeLinear")
WIDE_OPSET = 21
"""The opset from which on ONNX's own pairs hold uint16; before it those of ONNX Runtime's domain do."""
RUNTIME_DOMAIN = "com.microsoft"
CODES = "/q"
"""What the names of integers end in."""


def codes_name(value: str) -> str:
    """What the integers of a value are called, and the node that writes them.

    >>> codes_name("relu")
    'relu/q'
    """
    return f"{value}{CODES}"


def floats_name(value: str) -> str:
    """What the floats are called that those integers stand for, and the node that writes them.

    >>> floats_name("relu")
    'relu/dq'
    """
    return f"{value}/dq"


def clip_name(value: str) -> str:
    """What the Clip on the integers of a value is called.

    >>> clip_name("relu")
    'relu/clip'
    """
    return f"{value}/clip"


def zero_point_name(zero_point: NDArray[Any]) -> str:
    """What a zero point is called, for whatever values it is one; of one for each channel, their number is named.

    >>> import numpy as np
    >>> zero_point_name(np.array(0, np.uint8)), zero_point_name(np.zeros(64, np.uint8))
    ('zero_point/uint8', 'zero_points/uint8/64')
    """
    return f"zero_points/{zero_point.dtype}/{zero_point.size}" if zero_point.ndim else f"zero_point/{zero_point.dtype}"


def read_params(graph: ir.Graph, value: str) -> QuantParams | None:
    """Scale and zero point of a value's pair; None where the graph has no pair for it."""
    for pair in graph:  # by the node's name: what it writes may have to be called as an output of the graph
        if pair.op_type == DEQUANTIZE and pair.name == floats_name(value):
            return params_of(pair)
    return None


def params_of(pair: ir.Node) -> QuantParams:
    """Scale and zero point that a DequantizeLinear is written with; that of INT32 is zero, and is not."""
    scale, zero_point = [*map(constant, pair.inputs[1:]), None][:2]
    assert scale is not None
    if zero_point is None:
        zero_point = np.zeros(scale.shape, np.int32)
    return QuantParams(
        scale=scale, zero_point=zero_point, axis=pair.attributes.get_int("axis", 1) if scale.ndim else None
    )


def pair_behind(graph: ir.Graph, value: ir.Value, name: str, params: QuantParams) -> tuple[ir.Node, ir.Node]:
    """The pair of a value called ``name``, still to be put into the graph."""
    quantize = _node(graph, QUANTIZE, [value, *_constants_of(graph, name, params)], codes_name(name), params)
    dequantize = dequantized(graph, quantize.outputs[0], name, params)
    real = dequantize.outputs[0]
    real.shape, real.type = value.shape, value.type
    return quantize, dequantize


def dequantized(graph: ir.Graph, codes: ir.Value, name: str, params: QuantParams) -> ir.Node:
    """The DequantizeLinear of the integers of a value called ``name``, still to be put into the graph."""
    return _node(graph, DEQUANTIZE, [codes, *_constants_of(graph, name, params)], floats_name(name), params)


def _node(graph: ir.Graph, operator: str, inputs: list[ir.Value], name: str, params: QuantParams) -> ir.Node:
    made = node(operator, inputs, name, name, **({} if params.axis is None else {"axis": params.axis}))
    if params.dtype == np.uint16 and graph.opset_imports.get("", WIDE_OPSET) < WIDE_OPSET:
        made.domain = RUNTIME_DOMAIN
        graph.opset_imports[RUNTIME_DOMAIN] = 1
    return made


def _constants_of(graph: ir.Graph, name: str, params: QuantParams) -> tuple[ir.Value, ...]:
    """Scale and zero point; that of int32 is 0 by definition."""
    scale = initializer(graph, f"{name}/scale", params.scale)
    if params.dtype == np.int32:
        return (scale,)
    return scale, initializer(graph, f"{name}/zero_point", params.zero_point)


def pair_of(layer: ir.Node, index: int) -> ir.Node:
    """The DequantizeLinear that an integer layer reads."""
    value = layer.inputs[index]
    pair = None if value is None else value.producer()
    assert pair is not None
    return pair
