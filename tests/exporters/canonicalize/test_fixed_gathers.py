"""GatherND at known places reads the same values as Gather or Reshape; what is not known stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecompress.exporters.canonicalize.fixed_gathers import flatten_gathers
from edgecompress.runtime import execute
from tests.exporters.graphs import draw

EVERY = np.stack(np.meshgrid([0, 1], [0, 1, 2], indexing="ij"), -1)
"""Indices of all rows of the first two axes, in their order: (2, 3, 2)."""


def _model(indices: NDArray[Any], shape: str = "2,3,4", attributes: str = "") -> ir.Model:
    body = f"y = GatherND{attributes}(x, i)"
    text = f'<ir_version: 10, opset_import: ["" : 20]> m (float[{shape}] x) => (float y) {{ [g] {body} }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(indices.astype(np.int64), "i"))
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


@pytest.mark.parametrize(
    ("indices", "shape", "wanted"),
    [
        (EVERY, "2,3,4", ["Reshape"]),
        (EVERY.reshape(1, 1, 6, 2), "2,3,4", ["Reshape"]),
        (EVERY[::-1], "2,3,4", ["Reshape", "Gather"]),
        (EVERY[:1], "2,3,4", ["Reshape", "Gather"]),
        (np.array([[-1, -3], [0, 2]]), "2,3,4", ["Reshape", "Gather"]),
        (np.array([1, 2]), "2,3,4", ["Reshape", "Gather"]),
        (np.array([[1, 2, 3], [0, 0, 0]]), "2,3,4", ["Reshape", "Gather"]),
        (np.array([[0], [1]]), "2,3,4", ["Reshape"]),
        (EVERY, "2,3,N", ["Reshape"]),
        (EVERY[::-1], "2,N,4", ["GatherND"]),
        (EVERY[..., :1], "2,N,M", ["GatherND"]),
    ],
)
def test_the_same_values_are_read(indices: NDArray[Any], shape: str, wanted: list[str]) -> None:
    model, x = _model(indices, shape), draw(2, 3, 4)
    result = flatten_gathers(model)
    assert [each.op_type for each in result.model.graph] == wanted
    assert len(result.changes) == (wanted != ["GatherND"])
    (before,), (after,) = (execute(each, {"x": x}) for each in (model, result.model))
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(before, x[tuple(np.moveaxis(indices, -1, 0))])
    assert result.model.graph.outputs[0].name == "y"


def test_indices_of_each_batch_and_such_as_are_out_of_range_stay() -> None:
    batched = _model(np.array([[1], [2]]), attributes="<batch_dims = 1>")
    outside = _model(np.array([[2, 0]]))
    for model in (batched, outside):
        result = flatten_gathers(model)
        assert result.changes == ()
        assert [each.op_type for each in result.model.graph] == ["GatherND"]


def test_indices_that_are_computed_stay() -> None:
    text = '<ir_version: 10, opset_import: ["" : 20]> m (float[2,3] x, int64[4,1] i) => (float[4,3] y)'
    model = ir.from_proto(onnx.parser.parse_model(f"{text} {{ y = GatherND(x, i) }}"))
    assert flatten_gathers(model).changes == ()
