"""An integer AveragePool as a convolution by channel: every weight is 1, and its scale is one over their number.

ONNX Runtime averages windows of integers value by value, and takes 20 times as long as for floats. The convolution sums
up the same integers exactly, and rounds once.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import initializer, node, only_read_by, producer, source_of, substitute
from edgecompress.exporters.shapes import with_shapes

OF_BOTH = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")
"""Attributes that mean the same for a convolution."""


def convolve_averages(model: ir.Model) -> ir.Model:
    """A copy of a quantized model without integer AveragePools, except where a convolution would say something else.

    Args:
        model: with QuantizeLinear and DequantizeLinear; not modified.
    """
    convolved = model.clone()
    pools = [pool for pool in convolved.graph if _is_integer(pool) and _is_convolution(pool)]
    channels = _channels(model, pools) if pools else {}
    for pool in pools:
        if channels.get(str(pool.name)):
            _convolve(convolved.graph, pool, channels[str(pool.name)])
    return convolved


def _is_integer(pool: ir.Node) -> bool:
    """Whether a node is an AveragePool of a DequantizeLinear whose output is only quantized."""
    if producer(pool.outputs[0], "AveragePool") is None or producer(pool.inputs[0], "DequantizeLinear") is None:
        return False
    readers = [user for user, _ in pool.outputs[0].uses()]
    return bool(readers) and readers[0].op_type == "QuantizeLinear" and only_read_by(pool.outputs[0], readers[0])


def _is_convolution(pool: ir.Node) -> bool:
    """Whether every window counts the same number of values: what is padded is zeros, and counts."""
    padded = any(pool.attributes["pads"].as_ints()) if "pads" in pool.attributes else False
    named = pool.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    counts = bool(pool.attributes.get_int("count_include_pad", 0)) or not padded
    return counts and not named and not pool.attributes.get_int("ceil_mode", 0)


def _channels(model: ir.Model, pools: Sequence[ir.Node]) -> dict[str, int]:
    """The channels of what each pool writes, by its name, where they are known."""
    names = {pool.name for pool in pools}
    shapes = {str(each.name): each.outputs[0].shape for each in with_shapes(model).graph if each.name in names}
    return {name: shape[1] for name, shape in shapes.items() if shape is not None and isinstance(shape[1], int)}


def _convolve(graph: ir.Graph, pool: ir.Node, channels: int) -> None:
    sizes, name = list(pool.attributes["kernel_shape"].as_ints()), str(pool.name)
    constants = [
        initializer(graph, f"{name}/weight/q", np.ones((channels, 1, *sizes), np.int8)),
        initializer(graph, f"{name}/weight/scale", np.full(channels, 1 / prod(sizes), np.float32)),
        initializer(graph, f"{name}/weight/zero_point", np.zeros(channels, np.int8)),
    ]
    weight = node("DequantizeLinear", constants, f"{name}/weight/dq", f"{name}/weight/dq", axis=0)
    kept = {
        key: value for key, value in pool.attributes.items() if key in ("dilations", "kernel_shape", "pads", "strides")
    }
    conv = ir.node("Conv", [source_of(pool), weight.outputs[0]], {**kept, "group": channels}, name=name)
    substitute(graph, pool, [weight, conv])
