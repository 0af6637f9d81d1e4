"""A verdict as cases: each budget passes, fails or is skipped as the exit status has it."""

from __future__ import annotations

import pytest

from edgecompress.comparison.regressions import judge_release
from edgecompress.recipe.budgets import Budgets
from edgecompress.report.gate_cases import failed_case, gate_cases
from edgecompress.timing.ratios import Ratio
from edgecompress.validation.budgets import Verdict, judge

BUDGETS = Budgets(max_size_mb=2.0, min_speedup=2.0, max_latency_ms=5.0, max_metric_drop=1.0)
MEASURED = {"size_mb": 1.0, "speedup": 1.5, "latency_ms": 5.0}
NOISY = {"latency_ms": (2.0, 9.0)}


def _verdict(*, complete: bool) -> Verdict:
    found = judge(BUDGETS, MEASURED, NOISY, {"metric_drop": "points"})
    return found.complete_without(["size_mb"]) if complete else found


@pytest.mark.parametrize("complete", [False, True])
def test_each_budget_is_a_case(complete: bool) -> None:
    found = gate_cases(_verdict(complete=complete).entry, complete=complete)
    cases = {case.name: (case.ended, case.told) for case in found}
    assert cases == {
        "bundle": ("passed", "hashes and self-test hold"),
        "max_size_mb": ("failed", "only recorded: 1.00 MB, limit 2 MB")
        if complete
        else ("passed", "within budget: 1.00 MB, limit 2 MB"),
        "min_speedup": ("failed", "missed: 1.50 x, limit 2 x"),
        "max_latency_ms": ("failed", "too noisy to say: 5.00 ms, limit 5 ms"),
        "max_metric_drop": ("failed" if complete else "skipped", "not measured: -, limit 1 point"),
    }


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("name", list(MEASURED))
def test_a_case_fails_where_the_exit_status_is_1(name: str, complete: bool) -> None:
    budgets = {"size_mb": Budgets(max_size_mb=2.0), "speedup": Budgets(min_speedup=2.0)}
    found = judge(budgets.get(name, Budgets(max_latency_ms=5.0)), MEASURED, NOISY)
    verdict = found.complete_without(["size_mb"]) if complete else found
    failed = any(case.ended == "failed" for case in gate_cases(verdict.entry, complete=complete))
    assert failed == (verdict.outcome != "pass")


def test_a_release_has_cases_too() -> None:
    verdict = judge_release({}, None, "points", 3.0, Ratio(value=1.0, low=0.99, high=1.01))
    cases = [(case.name, case.ended, case.told) for case in gate_cases(verdict.entry)]
    assert cases[1:] == [
        ("max_metric_loss", "skipped", "not measured: -, limit none beyond chance"),
        ("max_size_growth", "failed", "missed: 3.00 %, limit 1 %"),
        ("max_slowdown", "passed", "within budget: 0.00 %, limit 1 %"),
    ]


def test_a_run_that_ended_in_an_error_is_one_case() -> None:
    case = failed_case("bundle 'net' does not exist")
    assert (case.name, case.ended, case.told) == ("bundle", "error", "bundle 'net' does not exist")
