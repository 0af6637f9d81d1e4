"""Stored weights: int8 in the file, floats once it is loaded.

For operators without an integer kernel that pays. A Cast and a Mul make floats of the integers; runtimes fold both when
the file is loaded, where they would run a DequantizeLinear for every sample.
"""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.calibration.schemes import weight_params
from edgecompress.exporters.graph import constant, initializer, node


def store_weight(graph: ir.Graph, layer: ir.Node, index: int, name: str) -> None:
    """Store a constant float32 input of a layer as int8, symmetric, with a scale for each row along its last axis.

    Args:
        graph: the layer's, changed in place.
        layer: what reads it.
        index: of the input.
        name: what the constants and nodes are called after.
    """
    weight = constant(layer.inputs[index])
    assert weight is not None
    rows = weight.reshape(-1, weight.shape[-1])
    params = weight_params(rows, axis=0)
    codes = initializer(graph, f"{name}_quantized", params.quantize(rows).reshape(weight.shape))
    scale = initializer(graph, f"{name}/scale", params.scale.reshape(*weight.shape[:-1], 1))
    real = node("Cast", [codes], f"{name}/cast", f"{name}/cast", to=ir.DataType.FLOAT.value)
    scaled = node("Mul", [real.outputs[0], scale], f"{name}/scaled", f"{name}/scaled")
    graph.insert_before(layer, [real, scaled])
    layer.replace_input_with(index, scaled.outputs[0])
