"""Float ONNX graphs written as text, for the tests of the passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.runtime import open_session

Array = NDArray[np.float32]


def graph(body: str, **constants: NDArray[Any]) -> ir.Model:
    """A model ``float[N,4,8,8] x -> y`` with the nodes of ``body``, named by what they compute."""
    text = f'<ir_version: 10, opset_import: ["" : 20]> main (float[N,4,8,8] x) => (float[N,d1,d2,d3] y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    if "Flatten" in body or "Gemm" in body:
        del proto.graph.output[0].type.tensor_type.shape.dim[2:]
    for node in proto.graph.node:
        node.name = node.output[0]
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def draw(*shape: int, seed: int = 0) -> Array:
    """Standard normal float32 values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(model: ir.Model, x: Array) -> Array:
    """The model's first output."""
    output: Array = open_session(model, threads=1).run(None, {"x": x})[0]
    return output
