"""Budgets: a limit is met at its value, and what was not measured is no pass."""

from __future__ import annotations

import pytest

from edgecompress.recipe import Budgets
from edgecompress.validation.budgets import MEASURES, judge


@pytest.mark.parametrize("budget", sorted(MEASURES))
def test_each_budget_bounds_its_measure(budget: str) -> None:
    budgets = Budgets.model_validate({budget: 0.5})
    measure = MEASURES[budget][0]
    better, worse = (0.4, 0.6) if budget.startswith("max_") else (0.6, 0.4)
    outcomes = [judge(budgets, {measure: value}).checks[0].outcome for value in (better, 0.5, worse, None)]
    assert outcomes == ["pass", "pass", "fail", "not measured"]


def test_every_budget_of_a_recipe_is_known() -> None:
    assert set(MEASURES) == set(Budgets.model_fields)


def test_one_missed_budget_fails_the_whole() -> None:
    verdict = judge(Budgets(min_speedup=2, max_size_mb=1), {"speedup": 3.0, "size_mb": 1.5})
    assert verdict.outcome == "fail"
    assert [check.budget for check in verdict.missed] == ["max_size_mb"]


def test_no_budgets_pass() -> None:
    assert judge(Budgets(), {}).outcome == "pass"
