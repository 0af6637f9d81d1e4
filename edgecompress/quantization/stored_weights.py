"""Stored weights: int8 in the file, floats once it is loaded.

For layers that compute in floats, since they have no integer kernel or none that pays, and for tables of embeddings.
A Cast and a Mul make floats of the integers; runtimes fold both when the file is loaded, and from then on the layer is
what it was, its weights rounded. A DequantizeLinear would be run for every sample, and would keep ONNX Runtime from
fusing the layer.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
import onnx_ir as ir

from edgecompress.calibration.schemes import QuantParams, weight_scale
from edgecompress.exporters.graph import constant, initializer, node
from edgecompress.quantization.operators import RULES
from edgecompress.quantization.weights import weight_axis

LEAST_STORED = 256
"""Numbers in a weight below which its scales and the two nodes take most of what integers save."""


def is_storable(layer: ir.Node) -> bool:
    """Whether a layer has a constant float32 weight that takes less room as integers."""
    place = _place(layer)
    weight = None if place is None else constant(layer.inputs[place[0]])
    return weight is not None and weight.dtype == np.float32 and weight.size >= LEAST_STORED


def store_weights(model: ir.Model, names: Container[str]) -> None:
    """Store the constant weights of the named layers, one scale for each output channel, or each row of a table.

    Args:
        model: changed in place; the floats that nobody reads any more are left in it.
        names: of float layers with a weight worth it (:func:`is_storable`).
    """
    for layer in list(model.graph):
        place = _place(layer) if layer.name in names else None
        if place is not None:
            store_weight(model.graph, layer, place[0], f"{layer.name}/weight", place[1])


def _place(layer: ir.Node) -> tuple[int, list[int]] | None:
    """Which input of a layer is its weight, and the axes along which numbers share a scale; None without any."""
    position, channels = 0, 0
    if layer.op_type == "ConvTranspose":
        position, channels = 1, 1
    elif layer.op_type != "Gather" or layer.attributes.get_int("axis", 0) != 0:
        rule = RULES.get(layer.op_type)
        if rule is None or rule.weight is None:
            return None
        position = rule.weight
    weight = constant(layer.inputs[position]) if layer.domain in ("", "ai.onnx") else None
    if weight is None or weight.ndim < 2:
        return None
    axis = channels if layer.op_type in ("ConvTranspose", "Gather") else weight_axis(layer, weight)
    return position, [each for each in range(weight.ndim) if each != axis]


def store_weight(graph: ir.Graph, layer: ir.Node, index: int, name: str, shared: Sequence[int]) -> None:
    """Store a constant float32 input of a layer as int8, symmetric.

    Args:
        graph: the layer's, changed in place.
        layer: what reads it.
        index: of the input.
        name: what the constants and nodes are called after.
        shared: the axes along which numbers share a scale.
    """
    weight = constant(layer.inputs[index])
    assert weight is not None
    scales = weight_scale(np.abs(weight.astype(np.float64)).max(axis=tuple(shared), keepdims=True))
    params = QuantParams(scale=scales, zero_point=np.zeros(scales.shape, np.int8))
    codes = initializer(graph, f"{name}_quantized", params.quantize(weight))
    scale = initializer(graph, f"{name}/scale", scales)
    real = node("Cast", [codes], f"{name}/cast", f"{name}/cast", to=ir.DataType.FLOAT.value)
    scaled = node("Mul", [real.outputs[0], scale], f"{name}/scaled", f"{name}/scaled")
    graph.insert_before(layer, [real, scaled])
    layer.replace_input_with(index, scaled.outputs[0])
