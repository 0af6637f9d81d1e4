"""Training as a pass: when it runs, and when what came out of it is kept."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir
import pytest

from edgecompress.calibration import Workers
from edgecompress.data.batches import Batches, InputNames
from edgecompress.errors import DivergedError
from edgecompress.exporters.graph import replace_constant
from edgecompress.progress import Progress
from edgecompress.quantization.aware.operators.no_form import NoFormError, no_form
from edgecompress.quantization.aware.recovered import assist, is_to_train, trained
from edgecompress.quantization.aware.training import TrainedLowering
from edgecompress.quantization.fallback import Accept
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.recovery import Recovered, recover
from edgecompress.quantization.weights import constant_weight
from edgecompress.recipe.tables import Quantization
from edgecompress.validation.acceptance import Standing
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of
from tests.quantization.standings import standing

DATA = [draw(8, 4, 8, 8)]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
MODEL = graph("y = Conv<pads=[1,1,1,1]>(x, w)", w=draw(4, 4, 3, 3))


@pytest.fixture(scope="module")
def before() -> Recovered:
    return recover(MODEL, lowering_of(MODEL, *DATA, integer_entry=True), Quantization(), BATCHES, Progress())


def _halved(lowering: Lowering) -> TrainedLowering:
    """What a training that forgot half of the weights would give."""
    model = lowering.model.clone()
    (node,) = (node for node in model.graph if node.op_type == "Conv")
    weight = constant_weight(node)
    assert weight is not None
    replace_constant(model.graph, node, 1, weight / 2)
    return TrainedLowering(lowering=replace(lowering, model=model), difference=None)


@pytest.mark.parametrize(
    ("asked", "accept", "runs"),
    [
        ("never", None, False),
        ("never", lambda _: standing(False), False),
        ("if_missed", None, False),
        ("if_missed", lambda _: standing(True), False),
        ("if_missed", lambda _: standing(False), True),
        ("always", None, True),
        ("always", lambda _: standing(True), True),
    ],
)
def test_it_runs_where_the_recipe_asks(before: Recovered, asked: str, accept: Accept | None, runs: bool) -> None:
    assert is_to_train(Quantization.model_validate({"training": asked}), before, accept) is runs


def test_what_was_trained_is_kept_and_is_where_the_fallback_starts(before: Recovered) -> None:
    after = trained(MODEL, before, Quantization(training="always"), _halved, BATCHES, None)
    assert after.lowering is after.start is not before.lowering
    assert after.agreement.sqnr_db < before.agreement.sqnr_db
    assert "trained with the integers in place" in after.changes[-1]


def test_a_training_that_takes_a_model_out_of_its_budget_is_undone(before: Recovered) -> None:
    held = before.model
    after = trained(
        MODEL, before, Quantization(training="always"), _halved, BATCHES, lambda model: standing(model is held)
    )
    assert after.model is before.model
    assert after.changes[-1].endswith("undone, since the model was more accurate before")


@pytest.mark.parametrize("asked", ["if_missed", "always"])
@pytest.mark.parametrize(("loss_before", "loss_after", "kept"), [(3.0, 2.0, True), (3.0, 3.0, True), (3.0, 4.0, False)])
def test_a_budget_that_neither_keeps_leaves_the_more_accurate_model(
    before: Recovered, asked: str, loss_before: float, loss_after: float, kept: bool
) -> None:
    def accept(model: ir.Model) -> Standing:
        return Standing(held=False, loss=loss_before if model is before.model else loss_after, limit=0.0)

    after = trained(MODEL, before, Quantization.model_validate({"training": asked}), _halved, BATCHES, accept)
    assert (after.lowering is not before.lowering) is kept


@pytest.mark.parametrize("asked", ["if_missed", "always"])
def test_a_training_that_diverges_leaves_the_model_as_it_was(before: Recovered, asked: str) -> None:
    def diverge(_lowering: Lowering) -> TrainedLowering:
        raise DivergedError("epoch 1, train batch 3: the loss is nan; lower the learning rate")

    after = trained(
        MODEL, before, Quantization.model_validate({"training": asked}), diverge, BATCHES, lambda _: standing(False)
    )
    assert after.model is before.model
    told = "quantization-aware training was given up: epoch 1, train batch 3: the loss is nan"
    assert after.warnings == (f"{told}; lower quantization.training_rate",)


def test_what_cannot_be_trained_stops_a_run_only_where_training_was_asked_for(before: Recovered) -> None:
    node = next(iter(MODEL.graph))

    def refuse(_lowering: Lowering) -> TrainedLowering:
        raise no_form(node)

    with pytest.raises(NoFormError):
        trained(MODEL, before, Quantization(training="always"), refuse, BATCHES, None)
    after = trained(MODEL, before, Quantization(training="if_missed"), refuse, BATCHES, None)
    assert after.model is before.model
    assert after.changes[-1] == "not trained: Conv 'y' has no form in PyTorch here"


@pytest.mark.parametrize("fault", [None, NoFormError("LSTM has no form; leave it"), DivergedError("nan; stop")])
def test_another_process_trains_along_and_leaves_the_telling_to_the_first(
    before: Recovered, fault: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Lowering | None] = [None, before.lowering]
    heard: list[Lowering] = []
    monkeypatch.setattr("edgecompress.quantization.aware.recovered.agreed_lowering", lambda workers, find: told.pop(0))

    def train(lowering: Lowering) -> TrainedLowering:
        heard.append(lowering)
        if fault is not None:
            raise fault
        return _halved(lowering)

    assist(Workers(rank=1, count=2), train)
    assert not heard
    assist(Workers(rank=1, count=2), train)
    assert heard == [before.lowering]
