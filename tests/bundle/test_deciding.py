"""What decides of a bundle again: its own metric and budgets, or what the caller names; a stranger's code never."""

from __future__ import annotations

from typing import Any

import pytest

from edgecompress.bundle.deciding import judging
from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Budgets, Evaluation, Recipe

CODE = Recipe(
    evaluation=Evaluation(metric="theirs.py:score", unit="dB", higher_is_better=True),
    budgets=Budgets(max_metric_drop=2),
)


def _error(outputs: Any, targets: Any) -> float:
    return float(abs(outputs - targets).max())


def _quiet(line: str) -> None:
    raise AssertionError(line)


def test_the_bundle_s_own_metric_decides_by_its_budgets() -> None:
    recipe = Recipe(evaluation=Evaluation(metric="miou"), budgets=Budgets(max_metric_drop=1.0, min_speedup=2.0))
    found = judging(recipe, None, {"min_speedup": 3.0}, _quiet, runs=True)
    assert found.measure.name == "miou"
    assert found.recipe.budgets == Budgets(max_metric_drop=1.0, min_speedup=3.0)


def test_code_that_a_bundle_names_is_not_run_unasked() -> None:
    with pytest.raises(RecipeError) as caught:
        judging(CODE, None, {}, _quiet, runs=True)
    assert str(caught.value) == (
        "the bundle is measured by 'theirs.py:score', code that its maker named; give --metric with what is to be run"
    )
    found = judging(CODE, None, {}, _quiet, runs=False)  # the record is read without it
    assert (found.measure.name, found.measure.unit, found.recipe.budgets) == ("theirs.py:score", "dB", CODE.budgets)


def test_budgets_of_one_metric_do_not_bound_another() -> None:
    recipe = Recipe(evaluation=Evaluation(metric="miou", class_axis=-1), budgets=Budgets(max_metric_drop=1.0))
    found = judging(recipe, "top5", {"min_metric_kept": 0.9}, _quiet, runs=True)
    assert found.measure.name == "top5"
    assert found.recipe.budgets == Budgets(min_metric_kept=0.9)
    assert found.recipe.evaluation.class_axis == -1


def test_an_object_in_place_of_the_bundle_s_metric_says_all_of_itself() -> None:
    heard: list[str] = []
    found = judging(CODE, _error, {"max_metric_drop": 0.5}, heard.append, runs=True)
    assert (found.measure.name, found.measure.unit) == (f"{__name__}:_error", "")
    assert found.recipe.budgets == Budgets(max_metric_drop=0.5)
    assert len(heard) == 1  # which way is better
