"""A Softmax over channels gives the same bits on rows, and stays where the way back could not be written."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.exporters.canonicalize.softmax_axes import turn_softmax
from tests.exporters.canonicalize.sequences import operators
from tests.exporters.graphs import draw, run

TURNED = ["Transpose", "Reshape", "Softmax", "Reshape", "Transpose"]


def _model(shape: str, axis: int, kind: str = "Softmax", opset: int = 20) -> ir.Model:
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> main (float[{shape}] x) => (float[{shape}] y)'
    proto = onnx.parser.parse_model(f"{text} {{ y = {kind}<axis={axis}>(x) }}")
    proto.graph.node[0].name = "scores"
    return ir.from_proto(proto)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    place=st.integers(0, 4),
    from_the_end=st.booleans(),
    kind=st.sampled_from(["Softmax", "LogSoftmax"]),
    batch=st.booleans(),
)
def test_the_answers_are_equal_in_every_bit(
    sizes: list[int], place: int, from_the_end: bool, kind: str, batch: bool
) -> None:
    axis = place % len(sizes)
    names = ["N" if batch and position == 0 != axis else str(size) for position, size in enumerate(sizes)]
    model = _model(", ".join(names), axis - len(sizes) if from_the_end else axis, kind)
    turned, x = turn_softmax(model).model, draw(*sizes)
    np.testing.assert_array_equal(run(turned, x), run(model, x))
    later = [size for size in sizes[axis + 1 :] if size > 1]
    assert (len(operators(turned)) == len(TURNED)) is (len(later) >= 2)


def test_the_layer_keeps_its_name_and_the_change_is_told() -> None:
    result = turn_softmax(_model("N, 80, 22, 22", 1))
    assert operators(result.model) == TURNED
    assert [node.name for node in result.model.graph if node.op_type == "Softmax"] == ["scores"]
    assert result.changes == ("scores: Softmax works on rows",)


@pytest.mark.parametrize(
    ("shape", "axis", "opset"),
    [("N, 4, 8", 1, 20), ("N, 4, 8, 8", 3, 20), ("N, 4, H, W", 1, 20), ("N, C, 8, 8", 1, 20), ("2, 4, 8, 8", 1, 12)],
)
def test_another_stays_as_it_is(shape: str, axis: int, opset: int) -> None:
    result = turn_softmax(_model(shape, axis, opset=opset))
    assert operators(result.model) == ["Softmax"]
    assert result.changes == ()
