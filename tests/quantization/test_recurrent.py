"""LSTM, GRU and RNN in a static recipe: in integers where a kernel pays, else on stored int8 weights; each told."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration import QNNPACK, collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.lowering import lower
from edgecompress.quantization.placement import place
from edgecompress.quantization.recurrent import LEAST_HIDDEN, NARROW, NO_KERNEL, SMALL, STORED
from edgecompress.quantization.sensitivity import rank_layers
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import execute, to_bytes
from edgecompress.step import StepResult
from tests.exporters.graphs import draw
from tests.quantization.standings import standing

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, ROWS, INPUTS = 6, 3, 24
X = {"x": draw(STEPS, ROWS, INPUTS)}
BATCHES = Batches(
    role="calibration", source=lambda: [X["x"]], inputs=InputNames(names=("x",), required=1), axes={"x": 1}
)


def _model(operator: str, hidden: int = LEAST_HIDDEN, *, both: bool = False, state: bool = False) -> ir.Model:
    """One layer, called ``layer``; ``state`` gives it an initial hidden state and lengths."""
    directions, direction = (2, "bidirectional") if both else (1, "forward")
    inputs = "x, w, r, b, lengths, start" if state else "x, w, r, b"
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
    m (float[{STEPS},N,{INPUTS}] x) => (float[T,D,N,H] y) {{
      y = {operator}<hidden_size={hidden}, direction="{direction}">({inputs})
    }}"""
    proto, gates, limit = onnx.parser.parse_model(text), GATES[operator], hidden**-0.5
    shapes = {"w": (gates * hidden, INPUTS), "r": (gates * hidden, hidden), "b": (2 * gates * hidden,)}
    rng = np.random.default_rng(0)
    constants: dict[str, Any] = {
        name: rng.uniform(-limit, limit, (directions, *shape)).astype(np.float32) for name, shape in shapes.items()
    }
    if state:
        constants |= {"lengths": np.array([6, 4, 2], np.int32), "start": draw(directions, ROWS, hidden, seed=3)}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    proto.graph.node[0].name = "layer"
    return ir.from_proto(proto)


def _quantize(model: ir.Model, accept: Any = None, **recipe: Any) -> StepResult[ir.Model]:
    asked = Quantization.model_validate({"enabled": True, "scheme": "qnnpack", **recipe})
    return quantize_static(model, asked, BATCHES, Progress(), accept=accept)


def _sqnr_db(model: ir.Model, quantized: ir.Model) -> float:
    return Agreement.between(execute(model, X), execute(quantized, X)).sqnr_db


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_a_wide_lstm_runs_in_integers(both: bool, state: bool) -> None:
    model = _model("LSTM", both=both, state=state)
    result = _quantize(model)
    assert [node.op_type for node in optimized_graph(result.model)] == ["DynamicQuantizeLSTM"]
    assert "1 of 1 LSTM run as integers" in result.changes
    assert not result.refusals
    assert not result.warnings
    assert _sqnr_db(model, result.model) > 30
    assert len(to_bytes(result.model)) < 0.4 * len(to_bytes(model))


@pytest.mark.parametrize("operator", ["GRU", "RNN"])
@pytest.mark.parametrize("both", [False, True])
def test_what_has_no_kernel_stores_integers_and_computes_in_floats(operator: str, both: bool) -> None:
    model = _model(operator, both=both)
    result = _quantize(model)
    assert [node.op_type for node in optimized_graph(result.model)] == [operator]
    (refusal,) = result.refusals
    assert (refusal.name, refusal.kind, refusal.reason) == ("layer", operator, STORED.format(reason=NO_KERNEL))
    assert result.warnings == ()
    assert _sqnr_db(model, result.model) > 30
    assert len(to_bytes(result.model)) < 0.4 * len(to_bytes(model))


def test_a_narrow_lstm_computes_in_floats() -> None:
    result = _quantize(_model("LSTM", LEAST_HIDDEN - 1))
    assert [node.op_type for node in optimized_graph(result.model)] == ["LSTM"]
    assert [refusal.reason for refusal in result.refusals] == [STORED.format(reason=NARROW)]


def test_a_layer_of_few_weights_stays_as_it_is() -> None:
    model = _model("GRU", 6)
    result = _quantize(model)
    assert to_bytes(result.model) == to_bytes(model)
    assert [refusal.reason for refusal in result.refusals] == [SMALL]


@pytest.mark.parametrize("operator", ["LSTM", "GRU"])
def test_a_layer_that_the_recipe_keeps_float_stays_float(operator: str) -> None:
    model = _model(operator)
    result = _quantize(model, keep_float=("lay*",))
    assert to_bytes(result.model) == to_bytes(model)
    assert [refusal.reason for refusal in result.refusals] == ["the recipe keeps it float (quantization.keep_float)"]


def test_computed_weights_are_named() -> None:
    computed = _model("LSTM")
    computed.graph.initializers["w"].name = "stored"
    (layer,) = computed.graph
    twice = ir.node("Add", [computed.graph.initializers["stored"], computed.graph.initializers["stored"]], name="twice")
    twice.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    twice.outputs[0].name = "twice"
    computed.graph.insert_before(layer, twice)
    layer.replace_input_with(1, twice.outputs[0])
    reasons = {refusal.name: refusal.reason for refusal in _quantize(computed).refusals}
    assert reasons["layer"] == "its weights are computed, not constant"


def test_a_layer_returns_to_float_where_the_budget_asks_for_it() -> None:
    model = _model("LSTM")
    result = _quantize(
        model,
        accept=lambda tried: standing(all(node.op_type != "DynamicQuantizeLSTM" for node in tried.graph)),
        fallback_evaluations=4,
    )
    assert [node.op_type for node in result.model.graph] == ["LSTM"]
    assert "fallback: layer returned to float for the accuracy budget" in result.changes


def test_what_a_recurrent_layer_costs_is_ranked() -> None:
    model = _model("LSTM")
    placement = place(model.graph)
    seen = collect(model, placement.pairs, BATCHES, Progress())
    lowering = lower(model, placement, seen, Quantization(enabled=True), QNNPACK)
    (ranked,) = rank_layers(model, lowering, BATCHES, Progress())
    assert (ranked.name, ranked.kind, ranked.group) == ("layer", "LSTM", ("layer",))
    assert ranked.sqnr_db == pytest.approx(_sqnr_db(model, lowering.write()))
    assert ranked.gain_db > 0


@given(st.sampled_from(sorted(GATES)), st.integers(1, 80), st.booleans(), st.booleans())
def test_any_layer_follows_its_floats(operator: str, hidden: int, both: bool, state: bool) -> None:
    model = _model(operator, hidden, both=both, state=state)
    result = _quantize(model)
    assert _sqnr_db(model, result.model) > 30
    assert len(to_bytes(result.model)) <= len(to_bytes(model))
    told = {refusal.name for refusal in result.refusals}
    assert ("layer" in told) is all(node.op_type != "DynamicQuantizeLSTM" for node in result.model.graph)
