"""Each pattern of the table, built, quantized, and read back from the graph that ONNX Runtime's optimizer leaves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.operators import RULES, UNKNOWN, Role
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import execute
from edgecompress.step import StepResult
from tests.exporters.graphs import draw
from tests.exporters.patterns import FLOAT, INTEGER, Pattern, model_of

CHANNELS, SIDE = 8, 8
DATA = [draw(16, CHANNELS, SIDE, SIDE, seed=seed) for seed in range(2)]
FRESH = {"x": draw(16, CHANNELS, SIDE, SIDE, seed=9)}
FLOOR_DB = 25.0
"""7-bit activations of a normal distribution give about 34 dB each; five in a row lose 7 dB."""


def _quantize(model: Any, scheme: str = "fbgemm") -> StepResult[Any]:
    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization.model_validate({"enabled": True, "scheme": scheme})
    return quantize_static(model, recipe, batches, Progress())


def _agreement(model: Any, quantized: Any) -> float:
    return Agreement.between(execute(model, FRESH), execute(quantized, FRESH)).sqnr_db


@pytest.mark.parametrize("pattern", INTEGER, ids=lambda pattern: pattern.name)
def test_a_pattern_runs_as_integers_from_end_to_end(pattern: Pattern) -> None:
    model = model_of(pattern, CHANNELS, SIDE)
    result = _quantize(model)
    kernels = Counter(node.op_type for node in optimized_graph(result.model))
    assert kernels.keys() >= {"QLinearConv", *pattern.kernels}
    assert "Conv" not in kernels
    at_the_ends = {"QuantizeLinear": 1, "DequantizeLinear": 1}
    floats = pattern.body.count("Tanh")
    assert {op: kernels[op] - floats for op in at_the_ends} == at_the_ends
    assert len(result.refusals) == floats
    assert _agreement(model, result.model) > FLOOR_DB


@pytest.mark.parametrize("pattern", FLOAT, ids=lambda pattern: pattern.name)
def test_a_pattern_stays_float_and_says_why(pattern: Pattern) -> None:
    model = model_of(pattern, CHANNELS, SIDE)
    result = _quantize(model)
    kernels = Counter(node.op_type for node in optimized_graph(result.model))
    (operator,) = (node.op_type for node in model.graph if node.name == "m")
    assert kernels[operator] == 1
    assert kernels["QLinearConv"] == 2
    (refusal,) = result.refusals
    assert (refusal.name, refusal.kind) == ("m", operator)
    assert refusal.reason == (
        RULES[operator].reason or "it interpolates, and only the nearest value is one of its integers"
    )
    assert _agreement(model, result.model) > FLOOR_DB


def test_every_integer_operator_of_the_table_has_a_pattern() -> None:
    built = {node.op_type for pattern in INTEGER for node in model_of(pattern, CHANNELS, SIDE).graph}
    # Matrix products are in test_static.py.
    assert {op for op, rule in RULES.items() if rule.role is not Role.FLOAT} <= built | {"MatMul", "Gemm"}


def test_an_operator_that_no_table_knows_is_named() -> None:
    result = _quantize(model_of(Pattern(name="", body="m = Sin(a)", nodes=("m",)), CHANNELS, SIDE))
    assert [(refusal.name, refusal.kind, refusal.reason) for refusal in result.refusals] == [("m", "Sin", UNKNOWN)]
