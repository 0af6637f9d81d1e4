"""Sensitivity and fallback: the layer that hurts is found, and as few as needed return to float."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.calibration import QNNPACK, collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization import sensitivity
from edgecompress.quantization.bias_correction import correct_biases
from edgecompress.quantization.fallback import fall_back
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.kept_float import BY_TIME
from edgecompress.quantization.lowering import Lowering, floating, lower
from edgecompress.quantization.placement import place
from edgecompress.quantization.recovery import Recovered, recover
from edgecompress.quantization.sensitivity import feeders, rank_layers
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from edgecompress.validation.acceptance import Standing
from tests.exporters.graphs import draw, graph, run
from tests.quantization.standings import standing, standing_by

PADS = "pads=[1,1,1,1]"
DATA = [draw(8, 4, 8, 8, seed=seed) for seed in range(2)]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
# The weights of ``b`` are small except for one, which takes the resolution of the whole tensor.
GOOD, BAD = draw(4, 4, 3, 3) * 0.3, draw(4, 4, 3, 3, seed=1) * 0.02
BAD[0, 0, 0, 0] = 8.0
CHAIN = (
    f"a = Conv<{PADS}>(x, g) r = Relu(a) b = Conv<{PADS}>(r, h) s = Relu(b)"
    f" c = Conv<{PADS}>(s, g) t = Relu(c) y = Conv<{PADS}>(t, g)"
)


def _lowering(model: ir.Model) -> Lowering:
    placement = place(model.graph)
    calibration = collect(model, placement.pairs, BATCHES, Progress())
    return lower(model, placement, calibration, Quantization(enabled=True, granularity="per_tensor"), QNNPACK)


def _sqnr(model: ir.Model, quantized: ir.Model) -> float:
    return Agreement.between([run(model, DATA[0])], [run(quantized, DATA[0])]).sqnr_db


@pytest.fixture(scope="module")
def model() -> ir.Model:
    return graph(CHAIN, g=GOOD, h=BAD)


def test_the_layer_with_the_worst_weights_is_the_most_sensitive(model: ir.Model) -> None:
    ranking = rank_layers(model, _lowering(model), BATCHES, Progress())
    assert min(ranking, key=lambda value: value.sqnr_db).name == "b"
    assert max(ranking, key=lambda value: value.gain_db).name in ("b", "c")  # the groups that hold it
    assert [each.worth for each in ranking] == sorted((each.worth for each in ranking), reverse=True)


def test_a_layer_with_stored_weights_returns_to_the_floats_that_it_had() -> None:
    model = graph(f"a = Conv<{PADS}>(x, g) r = Relu(a) y = Conv<{PADS}>(r, h)", g=GOOD, h=draw(24, 4, 3, 3))
    lowering = floating(_lowering(model), ["a", "r", "y"], BY_TIME)
    assert lowering.layers == lowering.stored == {"y"}  # the other has too few weights
    (ranked,) = rank_layers(model, lowering, BATCHES, Progress())
    assert ranked.group == ("y",)
    recipe = Quantization(enabled=True, fallback_evaluations=3)
    start = recover(model, lowering, recipe, BATCHES, Progress())
    fallback = fall_back(model, start, lambda tried: standing_by(_sqnr(model, tried), 100), recipe, BATCHES, Progress())
    assert _sqnr(model, start.model) < 60
    assert fallback.accepted
    assert fallback.returned == ("y",)


def test_the_metric_is_measured_with_each_layer_alone_as_integers(model: ir.Model) -> None:
    asked: list[ir.Model] = []

    def drop_of(quantized: ir.Model) -> float:
        asked.append(quantized)
        return float(len(asked))

    ranking = rank_layers(model, _lowering(model), BATCHES, Progress(), drop_of)
    assert sorted(each.metric_drop or 0 for each in ranking) == [1, 2, 3, 4]
    for quantized in asked:
        operators = [node.op_type for node in optimized_graph(quantized)]
        assert operators.count("QLinearConv") == 1


def test_a_group_is_a_layer_with_the_layers_that_feed_it(model: ir.Model) -> None:
    nodes = {str(node.name): node for node in model.graph}
    lowering = _lowering(model)
    assert feeders(nodes["a"], lowering) == ()
    assert feeders(nodes["c"], lowering) == ("b",)
    joined = graph(f"a = Conv<{PADS}>(x, g) b = Conv<{PADS}>(x, g) s = Add(a, b) y = Conv<{PADS}>(s, g)", g=GOOD)
    last = next(node for node in joined.graph if node.name == "y")
    assert set(feeders(last, _lowering(joined))) == {"a", "b"}


def test_floating_layers_run_as_floats_and_the_rest_as_integers(model: ir.Model) -> None:
    operators = [node.op_type for node in optimized_graph(floating(_lowering(model), ["b"]).write())]
    assert operators.count("QLinearConv") == 3
    assert operators.count("Conv") + operators.count("FusedConv") == 1


def test_what_only_passed_integers_on_takes_their_parameters() -> None:
    pooled = graph(
        f"a = Conv<{PADS}>(x, g) r = Relu(a) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) y = Conv<{PADS}>(m, g)",
        g=GOOD,
    )
    lowering = floating(_lowering(pooled), ["a"])
    assert "m" in lowering.placement.pairs
    assert lowering.params["m"] is lowering.params["r"]
    assert _sqnr(pooled, lowering.write()) > 25


def test_a_floating_layer_computes_what_it_did_before_its_bias_was_corrected(model: ir.Model) -> None:
    lowering = _lowering(model)
    corrected = correct_biases(lowering, BATCHES, Progress())
    every = [str(node.name) for node in model.graph if node.op_type == "Conv"]
    np.testing.assert_allclose(
        run(floating(corrected, every).write(), DATA[0]), run(model, DATA[0]), rtol=1e-4, atol=1e-4
    )


EXACT = " returned to float (quantization.exact_layers)"
RECIPE = Quantization(enabled=True, bias_correction=True, fallback_evaluations=6)


def _found(model: ir.Model) -> Recovered:
    return recover(model, _lowering(model), RECIPE, BATCHES, Progress())


def test_an_accurate_model_keeps_all_of_its_integers(model: ir.Model) -> None:
    found = _found(model)
    fallback = fall_back(model, found, lambda _: standing(True), RECIPE, BATCHES, Progress())
    assert fallback.accepted
    assert fallback.returned == ()
    assert fallback.recovered is found


@pytest.fixture
def equal_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """All layers take as long as floats as they do as integers: what decides is what they win, on any machine."""
    monkeypatch.setattr(sensitivity, "node_times", lambda *_: {})


@pytest.mark.usefixtures("equal_times")
def test_as_few_layers_return_as_the_budget_needs(model: ir.Model) -> None:
    asked: list[float] = []
    found = _found(model)
    freed = recover(model, floating(found.start, ["a", "b"]), RECIPE, BATCHES, Progress())
    limit = (_sqnr(model, found.model) + _sqnr(model, freed.model)) / 2

    def accept(quantized: ir.Model) -> Standing:
        asked.append(_sqnr(model, quantized))
        return standing_by(asked[-1], limit)

    fallback = fall_back(model, found, accept, RECIPE, BATCHES, Progress())
    assert fallback.accepted
    assert "b" in fallback.returned
    assert len(fallback.returned) < 4
    assert _sqnr(model, fallback.recovered.model) >= limit
    assert len(asked) <= 6


def test_with_evaluations_enough_every_layer_returns(model: ir.Model) -> None:
    fallback = fall_back(
        model, _found(model), lambda value: standing_by(_sqnr(model, value), 100), RECIPE, BATCHES, Progress()
    )
    assert fallback.accepted
    assert set(fallback.returned) == {"a", "b", "c", "y"}


def test_a_budget_that_cannot_be_met_leaves_the_integers_and_says_so(model: ir.Model) -> None:
    asked: list[ir.Model] = []

    def never(quantized: ir.Model) -> Standing:
        asked.append(quantized)
        return standing(False)

    recipe = RECIPE.model_copy(update={"fallback_evaluations": 3})
    found = _found(model)
    fallback = fall_back(model, found, never, recipe, BATCHES, Progress())
    assert not fallback.accepted
    assert fallback.returned == ()
    assert fallback.recovered is found
    assert len(asked) == 3


def test_a_budget_that_the_float_model_misses_costs_one_evaluation(model: ir.Model) -> None:
    asked: list[ir.Model] = []

    def accept(quantized: ir.Model) -> Standing:
        asked.append(quantized)
        return Standing(held=False, loss=3.0, limit=1.0, floor=2.0)

    found = _found(model)
    fallback = fall_back(model, found, accept, RECIPE, BATCHES, Progress())
    assert (fallback.beyond_reach, fallback.returned, len(asked)) == (True, (), 1)


@pytest.mark.usefixtures("equal_times")
@pytest.mark.parametrize("count", [1, 2, 9])
def test_exact_layers_are_those_that_pay_most_and_keep_float_takes_their_names(model: ir.Model, count: int) -> None:
    told = quantize_static(model, RECIPE.model_copy(update={"exact_layers": count}), BATCHES, Progress())
    (change,) = (change for change in told.changes if change.endswith(EXACT))
    names = tuple(change.removesuffix(EXACT).split(", "))
    assert (len(names) == 4) is (count > 1)
    assert _sqnr(model, told.model) > _sqnr(model, quantize_static(model, RECIPE, BATCHES, Progress()).model)
    kept = quantize_static(model, RECIPE.model_copy(update={"keep_float": names}), BATCHES, Progress())
    assert to_bytes(told.model) == to_bytes(kept.model)


def test_a_fixed_batch_dimension_is_filled() -> None:
    fixed = graph(CHAIN, g=GOOD, h=BAD)
    shape = fixed.graph.inputs[0].shape
    assert shape is not None
    fixed.graph.inputs[0].shape = ir.Shape([3, *shape[1:]])
    batches = Batches(
        role="calibration", source=lambda: [data[:3] for data in DATA], inputs=InputNames(names=("x",), required=1)
    )
    placement = place(fixed.graph)
    calibration = collect(fixed, placement.pairs, batches, Progress())
    lowering = lower(fixed, placement, calibration, Quantization(enabled=True), QNNPACK)
    assert len(rank_layers(fixed, lowering, batches, Progress())) == 4
