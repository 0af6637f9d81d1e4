"""What a release may cost: limits that are given, and what is beyond doubt where none is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edgecompress.comparison.regressions import LIMITS, judge_release
from edgecompress.metrics.bootstrap import Interval
from edgecompress.timing.ratios import Ratio
from edgecompress.validation.drops import Drop

NONE: Mapping[str, float | None] = {}
STILL = Ratio(value=1.0, low=0.99, high=1.01)


def _drop(after: float, interval: Interval | None) -> Drop:
    return Drop(before=80.0, after=after, unit="%", higher_is_better=True, interval_95=interval)


def _outcomes(
    limits: Mapping[str, float | None] = NONE, *, drop: Drop | None = None, growth: float = 0.0, speedup: Ratio = STILL
) -> dict[str, str]:
    found = judge_release(limits, drop, "points", growth, speedup)
    return {check.budget: check.outcome for check in found.checks}


def test_every_budget_is_judged_whether_a_limit_is_given_or_not() -> None:
    assert tuple(_outcomes()) == tuple(_outcomes({"max_slowdown": 5})) == LIMITS


@pytest.mark.parametrize("dropped", LIMITS)
def test_a_budget_that_is_dropped_is_not_judged(dropped: str) -> None:
    worse = Ratio(value=0.5, low=0.49, high=0.51)
    found = _outcomes({dropped: None}, drop=_drop(70.0, (9.0, 11.0)), growth=50.0, speedup=worse)
    assert found == dict.fromkeys((name for name in LIMITS if name != dropped), "fail")


@pytest.mark.parametrize(
    ("after", "interval", "outcome"),
    [
        (79.0, (0.2, 1.8), "fail"),  # beyond chance
        (79.0, (-0.5, 2.5), "pass"),  # chance alone could do that
        (79.0, (-9.0, 11.0), "too noisy to say"),
        (79.0, None, "too noisy to say"),
        (80.0, None, "pass"),
        (81.0, (-9.0, 7.0), "pass"),
    ],
)
def test_without_a_limit_a_loss_counts_beyond_chance(after: float, interval: Interval | None, outcome: str) -> None:
    assert _outcomes(drop=_drop(after, interval))["max_metric_loss"] == outcome


@pytest.mark.parametrize("interval", [(-0.5, 2.5), (0.2, 1.8), None])
def test_a_limit_holds_the_loss_on_these_samples(interval: Interval | None) -> None:
    drop = _drop(79.0, interval)
    assert _outcomes({"max_metric_loss": 1.0}, drop=drop)["max_metric_loss"] == "pass"
    assert _outcomes({"max_metric_loss": 0.99}, drop=drop)["max_metric_loss"] == "fail"


def test_less_of_an_error_is_no_loss() -> None:
    fewer = Drop(before=0.5, after=0.25, unit="m", higher_is_better=False)
    assert _outcomes({"max_metric_loss": 0}, drop=fewer)["max_metric_loss"] == "pass"
    assert judge_release({}, fewer, "m", 0, STILL).checks[0].value == -0.25


def test_a_file_may_grow_by_a_percent_or_by_its_limit() -> None:
    assert _outcomes(growth=1.0)["max_size_growth"] == "pass"
    assert _outcomes(growth=1.01)["max_size_growth"] == "fail"
    assert _outcomes({"max_size_growth": 2}, growth=1.01)["max_size_growth"] == "pass"
    assert _outcomes({"max_size_growth": 0}, growth=0.01)["max_size_growth"] == "fail"


@pytest.mark.parametrize(
    ("low", "high", "limit", "outcome"),
    [
        (0.90, 0.94, None, "fail"),  # all of it is slower
        (0.98, 1.02, None, "pass"),
        (0.98, 1.02, 0, "pass"),  # of a file and itself, whatever a clock says
        (0.97, 0.985, 5, "pass"),
        (0.92, 0.94, 5, "fail"),
        (0.94, 0.97, 5, "pass"),  # the limit lies within what the machine can tell apart
        (0.80, 1.20, None, "too noisy to say"),
        (0.80, 1.20, 5, "too noisy to say"),
        (0.80, 1.20, 50, "pass"),
        (0.40, 0.70, 5, "fail"),  # wide, and beyond it as a whole
        (1.50, 2.50, 0, "pass"),
    ],
)
def test_a_slowdown_is_missed_by_a_whole_interval(low: float, high: float, limit: float | None, outcome: str) -> None:
    speedup = Ratio(value=(low * high) ** 0.5, low=low, high=high)
    given = {} if limit is None else {"max_slowdown": limit}
    assert _outcomes(given, speedup=speedup)["max_slowdown"] == outcome


def test_a_slowdown_is_in_percent_of_the_old_time() -> None:
    found = judge_release({}, None, "points", 0, Ratio(value=0.8, low=0.5, high=1.0)).checks[2]
    assert found.value == pytest.approx(25.0)
    assert found.interval_95 == pytest.approx((0.0, 100.0))


def test_the_worst_outcome_is_the_verdict() -> None:
    noisy = Ratio(value=1.0, low=0.8, high=1.2)
    assert judge_release({}, None, "points", 0, STILL).outcome == "pass"
    assert judge_release({}, None, "points", 0, noisy).outcome == "undecided"
    assert judge_release({}, None, "points", 9, noisy).outcome == "fail"
    entry = judge_release({}, None, "points", 0, STILL).entry
    assert entry["budgets"][0]["outcome"] == "not measured"
