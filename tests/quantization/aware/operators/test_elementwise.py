"""Operators that work value by value, against ONNX's reference evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgecompress.quantization.aware.operators import elementwise
from tests.exporters.graphs import draw
from tests.quantization.aware.operators.oracle import Case, require_equal

X, Y, ROW = draw(2, 3, 4), draw(2, 3, 4, seed=1), draw(4, seed=2)
WHOLE = np.array([[-7, 7, 5], [9, -3, 2]])
YES = X > 0
ONE = ("Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu")
MORE = ("Mish", "Neg", "Relu", "Sigmoid", "Sign", "Sin", "Softplus", "Tanh")
CASES = [
    *(Case(op=op, inputs=[X]) for op in (*ONE, *MORE)),
    *(Case(op=op, inputs=[np.abs(X) + 0.1]) for op in ("Log", "Reciprocal", "Sqrt")),
    *(
        Case(op=op, inputs=[X, ROW])
        for op in ("Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "Mul", "Sub")
    ),
    Case(op="LessOrEqual", inputs=[X, X]),
    *(Case(op=op, inputs=[X, Y, ROW]) for op in ("Max", "Min", "Sum")),
    Case(op="Sum", inputs=[X]),
    *(Case(op=op, inputs=[YES, ~YES]) for op in ("And", "Or")),
    Case(op="Not", inputs=[YES]),
    Case(op="Div", inputs=[WHOLE, np.array([2, -2, 3])]),
    Case(op="Pow", inputs=[np.abs(X), np.array([0.5, 1, 2, 3], np.float32)]),
    Case(op="PRelu", inputs=[X, np.array([[0.5], [-1], [0]], np.float32)]),
    Case(op="Where", inputs=[YES, X, ROW]),
    Case(op="Clip", inputs=[X, np.array(-0.5, np.float32), np.array(0.7, np.float32)]),
    Case(op="Clip", inputs=[X, None, np.array(0.7, np.float32)]),
    Case(op="Elu", inputs=[X], attributes={"alpha": 0.3}),
    Case(op="Gelu", inputs=[X], attributes={"approximate": "tanh"}),
    Case(op="HardSigmoid", inputs=[3 * X], attributes={"alpha": 0.3, "beta": 0.4}),
    Case(op="LeakyRelu", inputs=[X], attributes={"alpha": 0.3}),
    *(
        Case(op="Cast", inputs=[X], attributes={"to": to})
        for to in (onnx.TensorProto.INT64, onnx.TensorProto.DOUBLE, onnx.TensorProto.BOOL)
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_value_is_that_of_the_reference(case: Case) -> None:
    require_equal(case)


def test_every_operator_has_a_case() -> None:
    assert {case.op for case in CASES} == {*elementwise.MAKERS}
