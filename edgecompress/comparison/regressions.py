"""Budgets of a release: how much worse, larger and slower than the old bundle the new one may be.

A limit that is left out still holds what is beyond doubt: a metric that is worse beyond chance, a file that grew by
more than a percent, and a time that is longer beyond what the machine can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgecompress.metrics.bootstrap import Interval
from edgecompress.timing.ratios import SMALLEST_DIFFERENCE, Ratio, undecided
from edgecompress.validation.budgets import Outcome
from edgecompress.validation.drops import Drop

METRIC, SIZE, TIME = "max_metric_loss", "max_size_growth", "max_slowdown"
LIMITS = (METRIC, SIZE, TIME)
PERCENT = "%"
SMALLEST_PERCENT = 100 * SMALLEST_DIFFERENCE
"""The limit of size and time where none is given."""


@dataclass(frozen=True, kw_only=True)
class Regression:
    """One budget: ``limit`` is None for a loss of the metric that may not be beyond chance; ``interval_95`` bounds the
    value, where that is known."""

    budget: str
    limit: float | None
    value: float | None
    unit: str
    outcome: Outcome
    interval_95: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseVerdict:
    """All budgets of a release."""

    checks: tuple[Regression, ...]

    @property
    def outcome(self) -> Literal["pass", "fail", "undecided"]:
        """``fail`` where a budget is missed, else ``undecided`` where nothing can be said of one."""
        outcomes = {check.outcome for check in self.checks}
        if "fail" in outcomes:
            return "fail"
        return "undecided" if "too noisy to say" in outcomes else "pass"

    @property
    def entry(self) -> dict[str, Any]:
        """The verdict for JSON."""
        return {"outcome": self.outcome, "budgets": [asdict(check) for check in self.checks]}


def judge_release(
    limits: Mapping[str, float | None], metric: Drop | None, unit: str, growth: float, speedup: Ratio | None
) -> ReleaseVerdict:
    """Hold what changed from one bundle to the next against budgets.

    Args:
        limits: by their names in :data:`LIMITS`: the metric's in its unit, the others in percent; None drops one.
        metric: its drop, None where it is not known; by how much it is worse decides where a limit is given, else
            whether that is beyond chance.
        unit: of a drop of the metric.
        growth: of the file, in percent.
        speedup: time of the old artifact divided by that of the new one; None where the target's CPU timed neither.

    >>> judge_release({}, None, "points", 0.5, Ratio(value=1.0, low=0.98, high=1.02)).outcome
    'pass'
    >>> judge_release({"max_slowdown": 5}, None, "points", 0.5, Ratio(value=0.8, low=0.78, high=0.82)).outcome
    'fail'
    """
    checks = (
        _metric(limits.get(METRIC), metric, unit),
        _size(limits.get(SIZE), growth),
        _time(limits.get(TIME), speedup),
    )
    dropped = [name for name, limit in limits.items() if limit is None]
    return ReleaseVerdict(checks=tuple(check for check in checks if check.budget not in dropped))


def _metric(limit: float | None, drop: Drop | None, unit: str) -> Regression:
    """The loss on the very samples is known; whether it is one on others, only beyond chance."""
    loss = None if drop is None else drop.loss
    outcome: Outcome = "not measured"
    if drop is not None and loss is not None:
        if limit is not None:
            outcome = "pass" if loss <= limit else "fail"
        elif loss <= 0 or drop.verdict == "no difference":
            outcome = "pass"
        else:
            outcome = "fail" if drop.verdict == "worse" else "too noisy to say"
    interval = None if drop is None else drop.interval_95
    return Regression(budget=METRIC, limit=limit, value=loss, unit=unit, outcome=outcome, interval_95=interval)


def _size(asked: float | None, growth: float) -> Regression:
    limit = SMALLEST_PERCENT if asked is None else asked
    return Regression(
        budget=SIZE, limit=limit, value=growth, unit=PERCENT, outcome="pass" if growth <= limit else "fail"
    )


def _time(asked: float | None, speedup: Ratio | None) -> Regression:
    """A budget of time is missed where the whole interval lies beyond it, so that no noise misses it."""
    limit = SMALLEST_PERCENT if asked is None else asked
    if speedup is None:
        return Regression(budget=TIME, limit=limit, value=None, unit=PERCENT, outcome="not measured")
    factor = 1 + limit / 100
    low, high = 1 / speedup.high, 1 / speedup.low
    outcome: Outcome = "pass"
    if low > factor:
        outcome = "fail"
    elif undecided(factor, (low, high)):
        outcome = "too noisy to say"
    ends = (_percent(low), _percent(high))
    return Regression(
        budget=TIME, limit=limit, value=_percent(1 / speedup.value), unit=PERCENT, outcome=outcome, interval_95=ends
    )


def _percent(factor: float) -> float:
    return 100 * (factor - 1)
