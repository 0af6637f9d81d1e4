"""Integer grids of weights: one int8 scale for each output channel, or for each weight.

On x86 without VNNI the products of uint8 activations and int8 weights are added in pairs in 16 bits.
255 * |w1 + w2| stays below 2^15 where no two weights of one sign in an output channel exceed 128 together.
Where they would, a scheme with 8-bit activations gives that channel a coarser grid: 7 bits where both
weights are equally large, and close to 8 where one stands out. A recipe can give the weights of a layer fewer bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.calibration.schemes import QuantParams, Scheme, weight_params
from edgecompress.exporters.graph import constant
from edgecompress.quantization.operators import RULES
from edgecompress.quantization.placement import Placement
from edgecompress.quantization.weight_bits import ALL_BITS, bits_of

PAIR_LIMIT = 128
"""Largest |w1 + w2| with 255 * |w1 + w2| < 2^15."""
ROUNDED_PAIR_LIMIT = PAIR_LIMIT - 2.0
"""What two weights come to before rounding: either may be rounded away from zero, and the limit still holds."""


def weight_grids(
    graph: ir.Graph,
    placement: Placement,
    scheme: Scheme,
    *,
    per_channel: bool,
    bits: Mapping[str, int] = ALL_BITS,
) -> dict[str, QuantParams]:
    """int8 parameters for every constant weight of a placed node, by the node's name.

    Args:
        graph: float.
        placement: what becomes integer.
        scheme: where products may not saturate and activations have 8 bits, weights get as few as their pairs need.
        per_channel: one scale for each output channel, or one for each weight.
        bits: how many the weights of nodes have, by their names; ``*`` and ``?`` are wildcards, and where several of
            these match, the fewest count.
    """
    grids: dict[str, QuantParams] = {}
    for node in graph:
        weight = constant_weight(node) if node.name in placement.placed else None
        if weight is not None:
            axis = weight_axis(node, weight) if per_channel else None
            grids[str(node.name)] = _grid(
                node, weight, axis, bits_of(str(node.name), bits), narrow=scheme.narrow_weights
            )
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


def summed_bias(node: ir.Node) -> NDArray[np.float32] | None:
    """The constant that is added to a layer's sums in INT32, float32 of shape (channels,).

    It is the layer's own bias; or what an Add puts on a product of matrices, since ONNX Runtime makes one layer of
    both where it knows the shapes.
    """
    weight, found = constant_weight(node), constant_bias(node)
    if node.op_type != "MatMul" or weight is None or weight.ndim != 2:
        return found
    readers = [user.node for user in node.outputs[0].uses()]
    if len(readers) != 1 or readers[0].op_type != "Add":
        return None
    added = [array for array in map(constant, readers[0].inputs) if array is not None]
    sizes = 1, weight.shape[1]
    return np.broadcast_to(added[0].ravel(), sizes[1:]) if added and added[0].size in sizes else None


def weight_axis(node: ir.Node, weight: NDArray[np.float32]) -> int | None:
    """The axis of a weight that holds the output channels; None where there is no single one."""
    if node.op_type == "Gemm":
        return 0 if node.attributes.get_int("transB") else 1
    if node.op_type == "MatMul":
        return 1 if weight.ndim == 2 else None
    return 0


def heaviest_pairs(node: ir.Node, weight: NDArray[Any], axis: int | None) -> NDArray[np.float64]:
    """The most that two weights of one sign come to, for each output channel: float64 of shape (channels,).

    Activations are not negative, so that products of two signs take from each other. The order in which a
    kernel pairs weights is its own affair: the two largest count, where it adds in pairs.
    """
    return _pairs(weight, axis or 0) if adds_in_pairs(node, weight) else np.zeros(len(weight))


def adds_in_pairs(node: ir.Node, weight: NDArray[Any]) -> bool:
    """Whether a kernel adds products in pairs, in 16 bits: all do, except for that of depthwise convolutions."""
    return not (node.op_type == "Conv" and node.attributes.get_int("group", 1) == len(weight) > 1)


def safe_params(weight: NDArray[np.float32], axis: int) -> QuantParams:
    """int8 symmetric parameters for each index along ``axis`` with which no product of 8-bit activations saturates."""
    return _narrowed(weight_params(weight, axis), _pairs(weight, axis))


def _pairs(weight: NDArray[Any], axis: int) -> NDArray[np.float64]:
    channels = np.moveaxis(weight.astype(np.float64), axis, 0).reshape(weight.shape[axis], -1)
    by_sign = np.stack([channels, -channels]).clip(min=0)
    heaviest: NDArray[np.float64] = np.sort(by_sign, axis=2)[:, :, -2:].sum(axis=2).max(axis=0, initial=0)
    return heaviest


def _grid(node: ir.Node, weight: NDArray[np.float32], axis: int | None, bits: int, *, narrow: bool) -> QuantParams:
    params = weight_params(weight, axis, bits)
    if not narrow:
        return params
    return _narrowed(params, heaviest_pairs(node, weight, weight_axis(node, weight)))


def _narrowed(params: QuantParams, pairs: NDArray[np.float64]) -> QuantParams:
    least = (pairs if params.axis is not None else pairs.max(initial=0)) / ROUNDED_PAIR_LIMIT
    return replace(params, scale=np.maximum(params.scale, least).astype(np.float32))
