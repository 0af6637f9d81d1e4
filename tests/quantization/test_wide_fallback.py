"""Layers become uint16 until the accuracy budget is met: the ones that hurt, and no more of them than it needs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.enclosure import Enclosable, enclosable
from edgecompress.quantization.qdq_pairs import params_of
from edgecompress.quantization.wide_fallback import rank_units, widen_for_budget
from edgecompress.recipe.tables import Quantization
from edgecompress.step import StepResult
from edgecompress.validation.acceptance import Standing
from tests.exporters.graphs import graph, run
from tests.quantization.layers import BATCHES, DATA
from tests.quantization.standings import standing_by

# Around 100 a step of uint8 is as large as all that goes on there; what comes before and behind is harmless.
BODY = "a = Sigmoid(x) s = Add(a, k) u = Sub(s, k) t = Tanh(u) y = HardSwish(t)"
MODEL = graph(BODY, k=np.full((1, 4, 1, 1), 100, np.float32))
GOOD_DB = 40.0
FINE_DB = 60.0
"""What the two nodes in uint16 come to, and what all of them come to at least."""


def _recipe(evaluations: int = 6, *wide: str) -> Quantization:
    return Quantization(enabled=True, enclose=True, fallback_evaluations=evaluations, uint16_activations=wide)


class _Budget:
    """A floor of the agreement, and how often it was asked."""

    def __init__(self, floor_db: float) -> None:
        self.floor_db, self.asked = floor_db, 0

    def __call__(self, tried: ir.Model) -> Standing:
        self.asked += 1
        return standing_by(_sqnr(tried), self.floor_db)


def _sqnr(tried: ir.Model) -> float:
    return Agreement.between([run(MODEL, DATA[0])], [run(tried, DATA[0])]).sqnr_db


@pytest.fixture(scope="module")
def network() -> Enclosable:
    return enclosable(MODEL, _recipe(), BATCHES, Progress())


def _widened(network: Enclosable, budget: _Budget, recipe: Quantization) -> StepResult[ir.Model]:
    return widen_for_budget(network, budget, recipe, BATCHES, Progress())


def _wide(result: StepResult[ir.Model]) -> set[str]:
    quantized = [node for node in result.model.graph if node.op_type == "QuantizeLinear"]
    return {str(node.inputs[0].name) for node in quantized if params_of(node).dtype == np.uint16}  # type: ignore[union-attr]


def test_the_nodes_that_lose_most_come_first(network: Enclosable) -> None:
    ranking = rank_units(network, (), BATCHES, Progress())
    assert {unit[0] for unit in ranking[:2]} == {"s", "u"}
    assert {unit[0] for unit in ranking} == {"a", "s", "u", "t", "y"}


def test_as_few_become_uint16_as_the_budget_needs(network: Enclosable) -> None:
    assert _sqnr(network.enclose(()).model) < 25
    budget = _Budget(GOOD_DB)
    result = _widened(network, budget, _recipe())
    assert _sqnr(result.model) >= GOOD_DB
    assert budget.asked <= 6
    wide = _wide(result)
    assert {"s", "u"} <= wide
    assert "y/open" not in wide
    assert result.changes[-1].startswith("fallback: ")
    assert result.changes[-1].endswith("are uint16 for the accuracy budget")


def test_nothing_changes_where_the_budget_is_met_in_uint8(network: Enclosable) -> None:
    budget = _Budget(0.0)
    result = _widened(network, budget, _recipe())
    assert (budget.asked, _wide(result)) == (1, set())
    assert result.changes[-1] == "fallback: no layer had to become uint16 for the accuracy budget"


def test_where_no_choice_suffices_the_largest_stays(network: Enclosable) -> None:
    budget = _Budget(1000.0)
    result = _widened(network, budget, _recipe(4))
    assert budget.asked == 2  # where all of them do not suffice, no other choice does
    assert _sqnr(result.model) > FINE_DB
    assert result.changes[-1] == (
        "fallback: the accuracy budget was not met in up to 4 evaluations; all layers are uint16"
    )


def test_one_evaluation_leaves_none_for_a_choice(network: Enclosable) -> None:
    result = _widened(network, _Budget(1000.0), _recipe(1))
    assert _wide(result) == set()
    assert result.changes[-1] == (
        "fallback: the accuracy budget was not met in up to 1 evaluation; no layer became uint16"
    )


def test_what_the_recipe_names_is_uint16_already(network: Enclosable) -> None:
    recipe = _recipe(6, "s")
    assert {unit[0] for unit in rank_units(network, recipe.uint16_activations, BATCHES, Progress())} == {
        *("a", "u", "t", "y")
    }
    assert "s" in _wide(_widened(network, _Budget(0.0), recipe))
