"""Operators that sum up over axes, against ONNX's reference evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.quantization.aware.operators import reductions
from tests.exporters.graphs import draw
from tests.quantization.aware.operators.oracle import Case, require_equal

X = draw(2, 6, 4, 5)
CHANNELS = [draw(6, seed=seed) for seed in (1, 2, 3)]
AXES = np.array([-1, 2])
REDUCING = ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")
CASES = [
    *(Case(op=op, inputs=[X, AXES]) for op in REDUCING),
    *(Case(op=op, inputs=[X, AXES], attributes={"keepdims": 0}) for op in REDUCING),
    *(Case(op=op, inputs=[X]) for op in REDUCING),
    Case(op="ReduceSum", inputs=[X], attributes={"noop_with_empty_axes": 1}),
    Case(op="Softmax", inputs=[X], attributes={"axis": 1}),
    Case(op="Softmax", inputs=[X]),
    Case(op="LogSoftmax", inputs=[X], attributes={"axis": 1}),
    Case(op="LayerNormalization", inputs=[X, draw(5, seed=4), draw(5, seed=5)], attributes={"axis": -1}),
    Case(op="LayerNormalization", inputs=[X, draw(4, 5, seed=4)], attributes={"axis": 2, "epsilon": 1e-3}),
    Case(op="InstanceNormalization", inputs=[X, *CHANNELS[:2]]),
    Case(op="BatchNormalization", inputs=[X, *CHANNELS, np.abs(CHANNELS[0]) + 0.1], attributes={"epsilon": 1e-3}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_sum_is_that_of_the_reference(case: Case) -> None:
    require_equal(case)


def test_every_operator_has_a_case() -> None:
    assert {case.op for case in CASES} == {*reductions.MAKERS}
