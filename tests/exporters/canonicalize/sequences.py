"""Float graphs over sequences, written as text, for the tests of the passes that know attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.runtime import execute
from edgecompress.step import StepResult

LENGTH, WIDTH, HEADS = 5, 12, 3


def sequence(body: str, **constants: NDArray[Any]) -> ir.Model:
    """A model ``float[N,5,12] x -> y`` with shapes inferred and nodes named by what they compute."""
    text = f'<ir_version: 10, opset_import: ["" : 20]> m (float[N,{LENGTH},{WIDTH}] x) => (float y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    for node in proto.graph.node:
        node.name = node.output[0]
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def integers(*values: int) -> NDArray[np.int64]:
    """A shape, or axes."""
    return np.array(values, np.int64)


def operators(model: ir.Model) -> list[str]:
    """What the graph consists of, in order."""
    return [node.op_type for node in model.graph]


def outputs(model: ir.Model, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's output for ``x``."""
    (y,) = execute(model, {"x": x})
    return y


def assert_unchanged(model: ir.Model, result: StepResult[ir.Model]) -> None:
    """The pass found nothing to do."""
    assert result.changes == ()
    assert operators(result.model) == operators(model)
