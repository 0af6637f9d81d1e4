"""Budgets: a limit is met at its value, and what was not measured is no pass."""

from __future__ import annotations

from typing import get_args
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Cpu, Isa, Quantization, Recipe
from edgecompress.timing.ratios import WIDEST
from edgecompress.validation.budgets import MEASURES, OF_LATENCY, Check, comparable, judge


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


@given(
    there=st.sampled_from(get_args(Isa)),
    here=st.sampled_from([*get_args(Isa), None]),
    timed_there=st.sets(st.sampled_from([MEASURES[name][0] for name in OF_LATENCY])),
    asked=st.sets(st.sampled_from(OF_LATENCY)),
)
def test_times_count_where_they_are_the_target_s_the_device_s_or_asked_for(
    there: Isa, here: Isa | None, timed_there: set[str], asked: set[str]
) -> None:
    measured = {measure: 1.0 for measure, _ in MEASURES.values()}
    recipe = Recipe(cpu=Cpu(isa=there), quantization=Quantization(enabled=True))
    with patch("edgecompress.targets.cpus.host_isa", lambda: here):
        kept = comparable(measured, recipe, timed_there=timed_there, asked=asked)
    of_latency = {MEASURES[name][0] for name in OF_LATENCY}
    assert kept.keys() >= measured.keys() - of_latency
    expected = of_latency if there == here else timed_there | {MEASURES[name][0] for name in asked}
    assert kept.keys() & of_latency == expected


def test_no_budgets_pass() -> None:
    assert judge(Budgets(), {}).outcome == "pass"


TIMED = sorted(name for name, (measure, _) in MEASURES.items() if measure == "speedup" or "latency" in measure)


@given(st.sampled_from(TIMED), st.floats(0.1, 10), st.floats(0.1, 10), st.floats(1, 3), st.floats(1, 3))
def test_a_limit_within_a_wide_interval_is_neither_kept_nor_missed(
    budget: str, limit: float, value: float, below: float, above: float
) -> None:
    low, high = value / below, value * above
    check = Check(budget=budget, limit=limit, value=value, unit="", interval_95=(low, high))
    plain = Check(budget=budget, limit=limit, value=value, unit="")
    wide, holds = (high / low) ** 0.5 > 1 + WIDEST, low < limit < high
    assert (check.outcome == "too noisy to say") is (wide and holds)
    if check.outcome != "too noisy to say":
        assert check.outcome == plain.outcome


def test_what_is_too_noisy_leaves_the_verdict_open_and_a_missed_budget_does_not() -> None:
    noisy = {"speedup": (0.24, 1.06), "latency_ms": (1.0, 1.01)}
    verdict = judge(Budgets(min_speedup=1, max_latency_ms=2), {"speedup": 0.33, "latency_ms": 1.0}, noisy)
    assert verdict.outcome == "undecided"
    assert verdict.missed == ()
    assert [check["outcome"] for check in verdict.entry["budgets"]] == ["too noisy to say", "pass"]
    missed = judge(Budgets(min_speedup=1, max_latency_ms=0.5), {"speedup": 0.33, "latency_ms": 1.0}, noisy)
    assert missed.outcome == "fail"


def test_a_budget_that_the_noise_cannot_reach_is_decided() -> None:
    noisy = {"speedup": (1.5, 4.0)}
    assert judge(Budgets(min_speedup=1.2), {"speedup": 2.0}, noisy).outcome == "pass"
    assert judge(Budgets(min_speedup=5), {"speedup": 2.0}, noisy).outcome == "fail"
