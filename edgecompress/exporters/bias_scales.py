"""Scales of biases are multiplied when the file is loaded: each is that of the input times that of the weight.

Stored, they take as many bytes as the scales of the weights, or as the biases themselves. Runtimes fold the product of
two constants before they look for integer kernels, to the same float32.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgecompress.exporters.short_names import graphs_of

DEQUANTIZE = "DequantizeLinear"
LEAST_CHANNELS = 16
"""Channels below which the node takes as much room as the scales."""


def multiply_bias_scales(proto: onnx.ModelProto) -> None:
    """Write a Mul of two scales in the place of each scale of a bias that is exactly their product.

    Args:
        proto: changed in place; what is no such product stays as it is.
    """
    for graph in graphs_of(proto.graph):
        products = _products(graph)
        if products:
            nodes = [made for node in graph.node for made in _with_product(node, products)]
            kept = [tensor for tensor in graph.initializer if tensor.name not in products]
            del graph.node[:], graph.initializer[:]
            graph.node.extend(nodes)
            graph.initializer.extend(kept)


def _with_product(node: onnx.NodeProto, products: dict[str, tuple[str, str]]) -> list[onnx.NodeProto]:
    factors = products.get(node.input[1]) if node.op_type == DEQUANTIZE else None
    return [node] if factors is None else [onnx.helper.make_node("Mul", factors, [node.input[1]]), node]


def _products(graph: onnx.GraphProto) -> dict[str, tuple[str, str]]:
    """The scales of biases that are products, and the scales that they are products of."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    pairs = {node.output[0]: node for node in graph.node if node.op_type == DEQUANTIZE}
    declared = {value.name for value in (*graph.input, *graph.output)}
    reads = Counter(name for inner in graphs_of(graph) for node in inner.node for name in node.input)
    found = {}
    for node in graph.node:
        scales = [pairs[name].input[1] for name in node.input if name in pairs]
        if len(node.input) != 3 or len(scales) != 3 or not all(name in constants for name in scales):
            continue
        *factors, product = (numpy_helper.to_array(constants[name]) for name in scales)
        if reads[scales[2]] == 1 and scales[2] not in declared and _is_product(product, *factors):
            found[scales[2]] = (scales[0], scales[1])
    return found


def _is_product(product: NDArray[np.float32], of_input: NDArray[np.float32], of_weight: NDArray[np.float32]) -> bool:
    saves = product.dtype == np.float32 and product.size >= LEAST_CHANNELS
    return saves and of_weight.shape == product.shape and np.array_equal(of_input * of_weight, product)
