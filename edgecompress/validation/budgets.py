"""Budgets: what was asked for beside what was measured, and the verdict."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass

from edgecompress.recipe import Budgets
from edgecompress.validation.evidence import Evidence

MEASURES = {
    "max_accuracy_drop": ("accuracy_drop", "points"),
    "min_compression_ratio": ("compression_ratio", "x"),
    "min_speedup": ("speedup", "x"),
    "max_latency_ms": ("latency_ms", "ms"),
    "max_latency_p95_ms": ("latency_p95_ms", "ms"),
    "max_latency_p99_ms": ("latency_p99_ms", "ms"),
    "max_size_mb": ("size_mb", "MB"),
    "min_sqnr_db": ("sqnr_db", "dB"),
    "min_cpu_agreement": ("cpu_agreement", "share"),
    "min_browser_agreement": ("browser_agreement", "share"),
}
"""Budget -> the measure that it bounds, and its unit."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One budget; ``value`` is None where it could not be measured."""

    budget: str
    limit: float
    value: float | None
    unit: str

    @property
    def outcome(self) -> str:
        """``pass``, ``fail`` or ``not measured``."""
        if self.value is None:
            return "not measured"
        holds = operator.le if self.budget.startswith("max_") else operator.ge
        return "pass" if holds(self.value, self.limit) else "fail"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All checks; it passes unless one of them fails."""

    checks: tuple[Check, ...]

    @property
    def missed(self) -> tuple[Check, ...]:
        """The budgets that do not hold."""
        return tuple(check for check in self.checks if check.outcome == "fail")

    @property
    def outcome(self) -> str:
        """``pass`` or ``fail``."""
        return "fail" if self.missed else "pass"


def judge(budgets: Budgets, measured: Mapping[str, float | None]) -> Verdict:
    """Hold measured values, by the names in ``MEASURES``, against budgets.

    >>> judge(Budgets(min_speedup=2.0), {"speedup": 1.5}).missed[0].budget
    'min_speedup'
    """
    asked = {name: limit for name, limit in budgets.model_dump().items() if limit is not None}
    checks = (
        Check(budget=name, limit=limit, value=measured.get(MEASURES[name][0]), unit=MEASURES[name][1])
        for name, limit in asked.items()
    )
    return Verdict(checks=tuple(checks))


def measures(evidence: Evidence) -> dict[str, float | None]:
    """The values that budgets bound, taken from the evidence of a run."""
    return {
        "accuracy_drop": evidence.accuracy_drop,
        "compression_ratio": evidence.compression_ratio,
        "speedup": evidence.latency.speedup,
        "latency_ms": evidence.latency.second.median_ms,
        "latency_p95_ms": evidence.latency.second.p95_ms,
        "latency_p99_ms": evidence.latency.second.p99_ms,
        "size_mb": evidence.compressed_bytes / 1e6,
        "sqnr_db": evidence.parity.sqnr_db,
    }
