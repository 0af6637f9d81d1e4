"""Integer grids of weights: one int8 scale for each output channel, or for each weight.

On x86 without VNNI the products of uint8 activations and int8 weights are added in pairs in 16 bits.
255 * (|w1| + |w2|) stays below 2^15 where no two weights of an output channel exceed 128 together;
where they do, a scheme with 8-bit activations gives the weights of that layer 7 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.calibration.schemes import QuantParams, Scheme, weight_params
from edgecompress.exporters.graph import constant
from edgecompress.exporters.placement import Placement
from edgecompress.exporters.rules import RULES

PAIR_LIMIT = 128
"""Largest |w1| + |w2| with 255 * (|w1| + |w2|) < 2^15."""
NARROW_PEAK = 64.0
"""Largest integer of a 7-bit weight; two of them reach the limit and do not pass it."""


def weight_grids(graph: ir.Graph, placement: Placement, scheme: Scheme, *, per_channel: bool) -> dict[str, QuantParams]:
    """int8 parameters for every constant weight of a placed node, by the node's name.

    Args:
        graph: float.
        placement: what becomes integer.
        scheme: where its products may not saturate and its activations have 8 bits, weights get 7.
        per_channel: one scale for each output channel, or one for each weight.
    """
    grids: dict[str, QuantParams] = {}
    for node in graph:
        weight = constant_weight(node) if node.name in placement.placed else None
        if weight is not None:
            axis = weight_axis(node, weight) if per_channel else None
            grids[str(node.name)] = _grid(node, weight, axis, narrow=scheme.narrow_weights)
    return grids


def constant_weight(node: ir.Node) -> NDArray[np.float32] | None:
    """The constant weight of an operator that has one."""
    rule = RULES.get(node.op_type)
    return constant(node.inputs[rule.weight]) if rule is not None and rule.weight is not None else None


def constant_bias(node: ir.Node) -> NDArray[np.float32] | None:
    """The constant bias of an operator that has one."""
    rule = RULES.get(node.op_type)
    if rule is None or rule.bias is None or len(node.inputs) <= rule.bias:
        return None
    return constant(node.inputs[rule.bias])


def weight_axis(node: ir.Node, weight: NDArray[np.float32]) -> int | None:
    """The axis of a weight that holds the output channels; None where there is no single one."""
    if node.op_type == "Gemm":
        return 0 if node.attributes.get_int("transB") else 1
    if node.op_type == "MatMul":
        return 1 if weight.ndim == 2 else None
    return 0


def can_saturate(node: ir.Node, codes: NDArray[np.integer[Any]], axis: int | None) -> bool:
    """Whether two products of 8-bit activations and these weights can exceed 16 bits.

    The order in which a kernel pairs them is its own affair: the two largest of an output channel count.
    The depthwise kernel, for one output channel of each input channel, adds in 32 bits.
    """
    if node.op_type == "Conv" and node.attributes.get_int("group", 1) == len(codes) > 1:
        return False
    channels = np.moveaxis(np.abs(codes.astype(np.int32)), axis or 0, 0).reshape(codes.shape[axis or 0], -1)
    largest = np.sort(channels, axis=1)[:, -2:].sum(axis=1)
    return bool(largest.max(initial=0) > PAIR_LIMIT)


def _grid(node: ir.Node, weight: NDArray[np.float32], axis: int | None, *, narrow: bool) -> QuantParams:
    params = weight_params(weight, axis)
    if not narrow or not can_saturate(node, params.quantize(weight), weight_axis(node, weight)):
        return params
    return weight_params(weight, axis, peak_code=NARROW_PEAK)
