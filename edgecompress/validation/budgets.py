"""Budgets: what was asked for next to what was measured, and the verdict.

A budget that a noisy machine leaves open is neither kept nor missed, and a verdict with one is ``undecided``.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from edgecompress.metrics.bootstrap import Interval
from edgecompress.metrics.metric import DEFAULT, Measure
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Recipe
from edgecompress.targets.cpus import times_here
from edgecompress.timing.latency import latency_intervals
from edgecompress.timing.ratios import undecided
from edgecompress.validation.evidence import Evidence

Outcome = Literal["pass", "fail", "not measured", "only recorded", "too noisy to say"]

MEASURES = {
    "max_accuracy_drop": ("accuracy_drop", "points"),
    "max_metric_drop": ("metric_drop", ""),
    "min_metric_kept": ("metric_kept", "share"),
    "min_metric": ("metric", ""),
    "max_metric": ("metric", ""),
    "min_compression_ratio": ("compression_ratio", "x"),
    "min_speedup": ("speedup", "x"),
    "max_latency_ms": ("latency_ms", "ms"),
    "max_latency_p95_ms": ("latency_p95_ms", "ms"),
    "max_latency_p99_ms": ("latency_p99_ms", "ms"),
    "max_size_mb": ("size_mb", "MB"),
    "min_sqnr_db": ("sqnr_db", "dB"),
    "min_cpu_agreement": ("cpu_agreement", "share"),
    "min_browser_agreement": ("browser_agreement", "share"),
    "min_runtime_agreement": ("runtime_agreement", "share"),
    "max_cpu_nodes": ("cpu_nodes", "nodes"),
    "min_npu_share": ("npu_share", "share"),
}
"""Budget -> the measure that it bounds, and its unit; the metric has one of its own (:func:`metric_units`)."""
OF_THE_METRIC = ("max_accuracy_drop", "max_metric_drop", "min_metric_kept", "min_metric", "max_metric")
"""The budgets that labelled data decide."""
OF_QUALITY = (*OF_THE_METRIC, "min_sqnr_db")
"""The budgets that outputs decide, whatever the file weighs and however fast it is."""
OF_LATENCY = ("min_speedup", "max_latency_ms", "max_latency_p95_ms", "max_latency_p99_ms")
"""The budgets that only the target's own kind of CPU decides."""
AGAINST_THE_FLOAT = ("min_compression_ratio", "min_speedup")
"""The budgets that compare the artifact with the float model, and say nothing where it is that itself."""
NONE_LOST = "max_lost_slices"
"""What every artifact is held against, whatever its recipe says: no slice of an output may be lost. It is listed where
it is missed."""


def comparable(
    measured: Mapping[str, float | None],
    recipe: Recipe,
    *,
    timed_there: Collection[str] = (),
    asked: Iterable[str] = (),
) -> dict[str, float | None]:
    """The measures that say something of the budgets.

    Where no technique is enabled, some would compare the float model with itself; where the target's CPU is of another
    family than this machine's, the latencies are those of the wrong CPU.

    Args:
        measured: values by the names in ``MEASURES``.
        recipe: what the artifact was made by.
        timed_there: the measures of latency that a device took.
        asked: budgets that the caller set for this machine; what they bound stays.

    >>> comparable({"speedup": 1.01, "size_mb": 2.0}, Recipe())
    {'size_mb': 2.0}
    """
    itself = () if recipe.techniques else AGAINST_THE_FLOAT
    untimed = (
        () if times_here(recipe.cpu.isa) else [name for name in OF_LATENCY if MEASURES[name][0] not in timed_there]
    )
    without = {MEASURES[name][0] for name in {*itself, *untimed} - {*asked}}
    return {name: value for name, value in measured.items() if name not in without}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One budget; ``value`` is None where it could not be measured.

    ``interval_95`` bounds the value where it is a time or a ratio of times. What is ``only_recorded`` does not count
    where everything has to be measured.
    """

    budget: str
    limit: float
    value: float | None
    unit: str
    interval_95: Interval | None = None
    only_recorded: bool = False

    @property
    def outcome(self) -> Outcome:
        """``too noisy to say`` where the limit lies within an interval of more than 5 % to either side."""
        if self.value is None:
            return "not measured"
        if self.only_recorded:
            return "only recorded"
        if self.interval_95 is not None and undecided(self.limit, self.interval_95):
            return "too noisy to say"
        holds = operator.le if self.budget.startswith("max_") else operator.ge
        return "pass" if holds(self.value, self.limit) else "fail"

    @property
    def entry(self) -> dict[str, Any]:
        """The budget for JSON."""
        own = {name: value for name, value in asdict(self).items() if name != "only_recorded"}
        return {**own, "outcome": self.outcome}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All checks; ``complete`` is one that needs each of them to be measured."""

    checks: tuple[Check, ...]
    complete: bool = False

    @property
    def missed(self) -> tuple[Check, ...]:
        """The budgets that do not hold."""
        return tuple(check for check in self.checks if check.outcome == "fail")

    @property
    def outcome(self) -> Literal["pass", "fail", "undecided"]:
        """``fail`` where a budget is missed, else ``undecided`` where the machine is too noisy to say of one, or one is
        not measured that has to be."""
        if self.missed:
            return "fail"
        kept = {"pass"} if self.complete else {"pass", "not measured"}
        return "pass" if {check.outcome for check in self.checks} <= kept else "undecided"

    def complete_without(self, recorded: Collection[str]) -> Verdict:
        """The same where every budget has to be measured, and these measures are only recorded.

        >>> kept = judge(Budgets(max_size_mb=2.0), {"size_mb": 1.0})
        >>> kept.complete_without(["speedup"]).outcome, kept.complete_without(["size_mb"]).outcome
        ('pass', 'undecided')
        """
        names = {name for name, (measure, _) in MEASURES.items() if measure in recorded}
        checks = (replace(check, only_recorded=check.budget in names) for check in self.checks)
        return Verdict(checks=tuple(checks), complete=True)

    @property
    def entry(self) -> dict[str, Any]:
        """The verdict for JSON."""
        return {"outcome": self.outcome, "budgets": [check.entry for check in self.checks]}


def judge(
    budgets: Budgets,
    measured: Mapping[str, float | None],
    intervals: Mapping[str, Interval] | None = None,
    units: Mapping[str, str] | None = None,
) -> Verdict:
    """Hold measured values and their 95 % intervals, by the names in ``MEASURES``, against budgets.

    ``units`` are those of measures that have none in ``MEASURES``.

    >>> judge(Budgets(min_speedup=2.0), {"speedup": 1.5}).missed[0].budget
    'min_speedup'
    >>> judge(Budgets(min_speedup=2.0), {"speedup": 1.5}, {"speedup": (0.9, 4.1)}).outcome
    'undecided'
    >>> judge(Budgets(), {"lost_slices": 2}).missed[0].budget
    'max_lost_slices'
    """
    asked = {name: limit for name, limit in budgets.model_dump().items() if limit is not None}
    known, own_units = intervals or {}, units or {}
    checks = (
        Check(
            budget=name,
            limit=limit,
            value=measured.get(measure),
            unit=own_units.get(measure, unit),
            interval_95=known.get(measure),
        )
        for name, limit in asked.items()
        for measure, unit in [MEASURES[name]]
    )
    lost = measured.get("lost_slices")
    unasked = (Check(budget=NONE_LOST, limit=0, value=lost, unit="slices"),) if lost else ()
    return Verdict(checks=(*checks, *unasked))


def metric_measures(measure: Measure, before: float | None, after: float | None) -> dict[str, float | None]:
    """What budgets bound of a metric, from its values for the original and the artifact."""
    drop = measure.drop(before, after)
    own = {"metric": after, "metric_drop": drop, "metric_kept": measure.kept(before, after)}
    return {"accuracy_drop": drop, **own} if measure.name == DEFAULT else own


def metric_units(measure: Measure) -> dict[str, str]:
    """The units of a metric and of its drop."""
    return {"metric": measure.unit, "metric_drop": measure.drop_unit}


def measures(evidence: Evidence) -> dict[str, float | None]:
    """The values that budgets bound, taken from the evidence of a run."""
    return {
        **metric_measures(evidence.measure, evidence.original_metric, evidence.compressed_metric),
        "compression_ratio": evidence.compression_ratio,
        "speedup": evidence.latency.speedup,
        "latency_ms": evidence.latency.second.median_ms,
        "latency_p95_ms": evidence.latency.second.p95_ms,
        "latency_p99_ms": evidence.latency.second.p99_ms,
        "size_mb": evidence.compressed_bytes / 1e6,
        "sqnr_db": evidence.parity.sqnr_db,
        "lost_slices": len(evidence.lost),
    }


def intervals(evidence: Evidence) -> dict[str, Interval]:
    """Between which values its times, and their ratio, lie at 95 %."""
    latency = evidence.latency
    times = latency_intervals(np.array(evidence.stages[-1].times_ms))
    return {"speedup": (latency.low, latency.high), **times}
