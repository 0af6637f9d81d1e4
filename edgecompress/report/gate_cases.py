"""A verdict as cases, which JUnit and GitHub are told: what was checked, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgecompress.units import budget, limit, outcome

Ended = Literal["passed", "failed", "skipped", "error"]
FILES = "bundle"
"""The case of hashes and self-test, which end a run where they do not hold."""


@dataclass(frozen=True, kw_only=True)
class GateCase:
    """What was checked, how it ended, and that in a few words."""

    name: str
    ended: Ended
    told: str


def gate_cases(verdict: Mapping[str, Any], *, complete: bool = False) -> tuple[GateCase, ...]:
    """A case for the files, which were read by now, and for each budget.

    Args:
        verdict: as JSON has it.
        complete: whether a budget that is not measured is missed; else it is skipped.
    """
    first = GateCase(name=FILES, ended="passed", told="hashes and self-test hold")
    return (first, *(_case(check, complete=complete) for check in verdict["budgets"]))


def failed_case(message: str) -> GateCase:
    """The case of a run that ended in an error."""
    return GateCase(name=FILES, ended="error", told=message)


def _case(check: Mapping[str, Any], *, complete: bool) -> GateCase:
    value, bound, said = check["value"], check["limit"], check["outcome"]
    measured = "-" if value is None else budget(value, check["unit"])
    wanted = "none beyond chance" if bound is None else limit(bound, check["unit"])
    told = f"{outcome(said)}: {measured}, limit {wanted}"
    ended: Ended = "passed" if said == "pass" else "failed"
    if said == "not measured" and not complete:
        ended = "skipped"
    return GateCase(name=check["budget"], ended=ended, told=told)
