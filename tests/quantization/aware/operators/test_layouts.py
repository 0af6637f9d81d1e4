"""Operators that move values, against ONNX's reference evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecompress.quantization.aware.operators import layouts
from tests.exporters.graphs import draw
from tests.quantization.aware.operators.oracle import Case, require_equal

X = draw(2, 8, 4, 6)


def _whole(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


CASES = [
    Case(op="Reshape", inputs=[X, _whole(0, -1, 3)]),
    Case(op="Reshape", inputs=[np.zeros((0, 3), np.float32), _whole(3, 0)], attributes={"allowzero": 1}),
    Case(op="Flatten", inputs=[X]),
    Case(op="Flatten", inputs=[X], attributes={"axis": -1}),
    Case(op="Flatten", inputs=[X], attributes={"axis": 0}),
    Case(op="Transpose", inputs=[X]),
    Case(op="Transpose", inputs=[X], attributes={"perm": [0, 2, 3, 1]}),
    Case(op="Squeeze", inputs=[X[:1, :, :1]]),
    Case(op="Squeeze", inputs=[X[:1, :, :1], _whole(-2)]),
    Case(op="Unsqueeze", inputs=[X, _whole(-1, 0, 2)]),
    Case(op="Concat", inputs=[X, X[:, :3]], attributes={"axis": 1}),
    Case(op="Split", inputs=[X, _whole(1, 7)], attributes={"axis": 1}, outputs=2),
    Case(op="Split", inputs=[X], attributes={"axis": -1, "num_outputs": 2}, outputs=2),
    Case(op="Slice", inputs=[X, _whole(1, -4), _whole(9, 2**62), _whole(1, 3), _whole(2, 1)]),
    Case(op="Slice", inputs=[X, _whole(-1), _whole(-(2**62)), _whole(2), _whole(-1)]),
    Case(op="Slice", inputs=[X, _whole(5), _whole(2), _whole(1)]),
    Case(op="Gather", inputs=[X, np.array([[0, -1], [3, 3]])], attributes={"axis": 1}),
    Case(op="Gather", inputs=[X, np.array(-1)], attributes={"axis": -1}),
    Case(op="GatherElements", inputs=[X, np.tile([-1, 5], (2, 8, 4, 1))], attributes={"axis": 3}),
    Case(op="Expand", inputs=[X[:, :1], _whole(1, 3, 1, 1)]),
    Case(op="Tile", inputs=[X, _whole(1, 2, 1, 3)]),
    Case(op="Pad", inputs=[X, _whole(0, 0, 1, 2, 0, 1, 0, 3), np.array(7, np.float32)]),
    Case(op="Pad", inputs=[X, _whole(0, 0, 1, 2, 0, 0, 0, 3)], attributes={"mode": "reflect"}),
    Case(op="Pad", inputs=[X, _whole(0, 0, 1, 2, 0, 0, 0, 3)], attributes={"mode": "edge"}),
    Case(op="Pad", inputs=[X, _whole(1, 2), None, _whole(-1)]),
    Case(op="DepthToSpace", inputs=[X], attributes={"blocksize": 2}),
    Case(op="DepthToSpace", inputs=[X], attributes={"blocksize": 2, "mode": "CRD"}),
    Case(op="SpaceToDepth", inputs=[X], attributes={"blocksize": 2}),
    Case(op="Shape", inputs=[X]),
    Case(op="Shape", inputs=[X], attributes={"start": 1, "end": -1}),
    Case(op="Constant", inputs=[], attributes={"value": onnx.numpy_helper.from_array(X)}),
    Case(op="ConstantOfShape", inputs=[_whole(2, 3)]),
    Case(op="ConstantOfShape", inputs=[_whole(2)], attributes={"value": onnx.numpy_helper.from_array(_whole(5))}),
    Case(op="Range", inputs=[np.array(2), np.array(11), np.array(3)]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_are_where_the_reference_has_them(case: Case) -> None:
    require_equal(case)


def test_every_operator_has_a_case() -> None:
    assert {case.op for case in CASES} == {*layouts.MAKERS}


@given(st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([-3, -2, -1, 1, 2, 3]), st.integers(-4, 3))
def test_a_slice_takes_what_the_reference_takes(start: int, end: int, step: int, axis: int) -> None:
    require_equal(Case(op="Slice", inputs=[X, _whole(start), _whole(end), _whole(axis), _whole(step)]))
