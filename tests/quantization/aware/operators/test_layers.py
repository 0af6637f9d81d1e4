"""Layers with weights and windows, against ONNX's reference evaluator, and ONNX Runtime where that has no answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.errors import ModelError
from edgecompress.quantization.aware.operators import function_of, layers
from tests.exporters.graphs import draw
from tests.quantization.aware.operators.oracle import Case, require_equal

X = draw(2, 4, 7, 6)
EMPTY = np.zeros(0, np.float32)


def _conv(weight: tuple[int, ...], **attributes: Any) -> Case:
    return Case(op="Conv", inputs=[X, draw(*weight, seed=1), draw(weight[0], seed=2)], attributes=attributes)


def _resized(scales: list[float], **attributes: Any) -> Case:
    return Case(op="Resize", inputs=[X, EMPTY, np.array([1, 1, *scales], np.float32)], attributes=attributes)


CASES = [
    _conv((5, 4, 3, 3)),
    _conv((5, 4, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]),
    _conv((5, 4, 3, 3), pads=[0, 1, 1, 2]),
    _conv((5, 4, 2, 3), dilations=[2, 2]),
    _conv((8, 2, 3, 3), group=2),
    _conv((4, 1, 3, 3), group=4, auto_pad="SAME_UPPER", strides=[2, 2]),
    _conv((4, 1, 2, 2), group=4, auto_pad="SAME_LOWER"),
    _conv((5, 4, 3, 3), auto_pad="VALID"),
    Case(op="Conv", inputs=[draw(2, 4, 9), draw(3, 4, 3)], attributes={"pads": [1, 1]}),
    Case(op="ConvTranspose", inputs=[X, draw(4, 3, 2, 2), draw(3)], attributes={"strides": [2, 2]}),
    Case(
        op="ConvTranspose",
        inputs=[X, draw(4, 3, 3, 3)],
        attributes={"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    ),
    Case(op="ConvTranspose", inputs=[X, draw(4, 3, 3, 3)], attributes={"strides": [2, 2], "pads": [0, 1, 2, 0]}),
    Case(op="Gemm", inputs=[draw(3, 4), draw(4, 5), draw(5)]),
    Case(op="Gemm", inputs=[draw(4, 3), draw(5, 4), draw(5)], attributes={"transA": 1, "transB": 1, "alpha": 0.5}),
    Case(op="Gemm", inputs=[draw(3, 4), draw(4, 5), draw(3, 1)], attributes={"beta": 2.0}),
    Case(op="MatMul", inputs=[draw(2, 3, 4), draw(4, 5)]),
    Case(op="MaxPool", inputs=[X], attributes={"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    Case(op="MaxPool", inputs=[X], attributes={"kernel_shape": [2, 2], "dilations": [2, 2]}),
    Case(op="MaxPool", inputs=[X], attributes={"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    Case(op="AveragePool", inputs=[X], attributes={"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case(op="AveragePool", inputs=[X], attributes={"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    Case(
        op="AveragePool", inputs=[X], attributes={"kernel_shape": [3, 3], "pads": [1, 0, 1, 2], "count_include_pad": 1}
    ),
    Case(op="GlobalAveragePool", inputs=[X]),
    Case(op="GlobalMaxPool", inputs=[X]),
    _resized([2, 2], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    _resized([2, 3], mode="linear"),
    _resized([2, 2], mode="linear", coordinate_transformation_mode="align_corners"),
    Case(op="Resize", inputs=[X, None, None, np.array([2, 4, 14, 18])], attributes={"mode": "linear"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layer_is_that_of_the_reference(case: Case) -> None:
    require_equal(case)


def test_every_operator_has_a_case() -> None:
    assert {case.op for case in CASES} == {*layers.MAKERS}


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (_resized([2, 2], mode="cubic"), "Resize"),
        (_resized([2, 2], mode="nearest"), "Resize"),
        (
            Case(op="ConvTranspose", inputs=[X, draw(4, 3, 2, 2)], attributes={"output_shape": [14, 12]}),
            "ConvTranspose",
        ),
        (Case(op="AveragePool", inputs=[X], attributes={"kernel_shape": [2, 2], "ceil_mode": 1}), "AveragePool"),
        (Case(op="Det", inputs=[draw(3, 3)]), "Det"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_what_has_no_form_is_named(case: Case, told: str) -> None:
    with pytest.raises(ModelError, match=rf"{told}.*no form in PyTorch here; set quantization.training=never"):
        function_of(next(iter(ir.from_proto(case.model).graph)))
