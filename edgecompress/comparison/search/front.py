"""The front: the trials that no other one beats, its knee, and the trial that the target would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecompress.comparison.search.trial import Measures
from edgecompress.errors import plural, they_are
from edgecompress.metrics.bootstrap import Interval
from edgecompress.recipe.tables import Isa
from edgecompress.targets import TargetProfile
from edgecompress.targets.rules import SERVES
from edgecompress.validation.budgets import OF_LATENCY

Measured = Mapping[int, Measures]
"""By the number of the trial."""


class Figures(Protocol):
    """What decides whether one artifact beats another; both were timed against the same original."""

    @property
    def metric_drop(self) -> float:
        """By how much the metric is worse than the original's."""
        ...

    @property
    def size_bytes(self) -> int:
        """Of the artifact."""
        ...

    @property
    def speedup(self) -> float:
        """The original's latency over the artifact's."""
        ...

    @property
    def speedup_interval_95(self) -> Interval:
        """Its ends at 95 %."""
        ...


EVEN = {"max_accuracy_drop": 1, "max_latency_ms": 1, "max_size_mb": 1}
"""How much each limit counts for a strategy that is not known."""
IN_WORDS = {"max_accuracy_drop": "metric", "max_latency_ms": "latency", "max_size_mb": "size"}
"""The three objectives, in their order, by the limits of :data:`~edgecompress.targets.rules.SERVES`."""
FEWEST_FOR_A_KNEE = 3


@dataclass(frozen=True, kw_only=True)
class ChosenTrial:
    """The number of the trial that budgets and target choose, None where none keeps the budgets; and why."""

    number: int | None
    reason: str


def beats(first: Figures, second: Figures) -> bool:
    """Whether a trial is at least as good as another in all three, and better in one.

    Latencies differ where the 95 % intervals of the speedups do not overlap; metric and bytes wherever they do.
    """
    slower = first.speedup_interval_95[1] < second.speedup_interval_95[0]
    faster = first.speedup_interval_95[0] > second.speedup_interval_95[1]
    no_worse = all(mine <= theirs for mine, theirs in zip(_sure(first), _sure(second), strict=True))
    return no_worse and not slower and (faster or _sure(first) != _sure(second))


def front_of(measured: Mapping[int, Figures]) -> tuple[int, ...]:
    """The numbers of the trials that no other trial of the front beats, the best metric first.

    A trial is left out for one of the front alone: that intervals overlap is not transitive. Of trials whose metric and
    bytes are the same and whose latencies cannot be told apart, the one with the best median stays.
    """
    order = sorted(measured, key=lambda number: (_sure(measured[number]), -measured[number].speedup, number))
    kept: list[int] = []
    for number in order:
        here = measured[number]
        if not any(_leaves_out(measured[other], here) for other in kept):
            kept.append(number)
    return tuple(kept)


def beaten_by(measured: Mapping[int, Figures], front: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The numbers of the trials that are not of the front, each with those of the front that leave it out."""
    return {
        number: tuple(other for other in front if _leaves_out(measured[other], here))
        for number, here in measured.items()
        if number not in front
    }


def _leaves_out(first: Figures, second: Figures) -> bool:
    """Whether a trial beats another, or has the same metric and bytes and a latency that cannot be told apart."""
    return beats(first, second) or _sure(first) == _sure(second)


def _sure(measures: Figures) -> tuple[float, int]:
    """The objectives that no clock has to say."""
    return measures.metric_drop, measures.size_bytes


def knee_of(measured: Measured, front: Sequence[int]) -> int | None:
    """The trial of the front that is nearest to the best of all three, each scaled to what the front spans.

    None where the front has fewer than three trials.
    """
    if len(front) < FEWEST_FOR_A_KNEE:
        return None
    return front[int(np.argmin(np.linalg.norm(_scaled(measured, front), axis=1)))]


def choose_trial(measured: Measured, front: Sequence[int], profile: TargetProfile) -> ChosenTrial:
    """The trial that keeps the budgets and gives the target most of what its strategy is for.

    It is of the front; where no trial of the front keeps the budgets, of those that do and that none of these beats.
    """
    keeping = {number: found for number, found in measured.items() if found.outcome == "pass"}
    of_the_front = [number for number in front if number in keeping]
    within = of_the_front or front_of(keeping)
    if not within:
        return ChosenTrial(number=None, reason=_why_none(measured, front))
    where = "of the front " if of_the_front else ""
    but = "" if of_the_front else "; no trial of the front is sure to keep them"
    unknown = sorted({budget for number in within for budget in measured[number].unmeasured})
    but += _left_open(unknown, profile.recipe.cpu.isa)
    kept = f"the {'other ' if unknown else ''}budgets of {profile.name}"
    limits = SERVES.get(profile.recipe.techniques, EVEN)
    weights = np.array([limits[name] for name in IN_WORDS])
    cost = _scaled(measured, within) @ weights
    chosen = within[int(np.argmin(cost))]
    if len(within) == 1:
        return ChosenTrial(number=chosen, reason=f"the only trial {where}that keeps {kept}{but}")
    weighed = " : ".join(f"{IN_WORDS[name]} {limits[name]}" for name in IN_WORDS)
    return ChosenTrial(
        number=chosen,
        reason=f"the best of {plural(len(within), 'trial')} that keep {kept}"
        f" ({profile.reason}), weighed {weighed}{but}",
    )


def _left_open(budgets: Sequence[str], isa: Isa | None) -> str:
    """The budgets that say nothing of a choice since nothing measured them, and how to decide a latency."""
    of_latency = [name for name in budgets if name in OF_LATENCY]
    others = [name for name in budgets if name not in OF_LATENCY]
    told = f"; {they_are(others)} not measured, and not counted" if others else ""
    if of_latency:
        there = "validate the trial on your device (--device) with the float model (--original)"
        how = "time the trial in the browser" if isa == "wasm" else there
        told += f"; {they_are(of_latency)} not measured on the target's CPU, and not counted: {how}"
    return told


def _why_none(measured: Measured, front: Sequence[int]) -> str:
    """What keeps every trial from being chosen, and what helps: first where a trial misses nothing, and is not sure."""
    unsure = [number for number in measured if not measured[number].missed]
    if unsure:
        named = sorted({budget for number in unsure for budget in measured[number].undecided})
        told = f"{', '.join(named)} {'is' if len(named) == 1 else 'are'}" if named else "the machine is"
        which = f"trial {unsure[0]} misses" if len(unsure) == 1 else f"{len(unsure)} trials miss"
        return (
            f"{which} no budget, but {told} too noisy to say; set cpu.runs=1000 or stop other programs, and give"
            " another output (--output)"
        )
    missed = [budget for number in front for budget in measured[number].missed]
    most = max(sorted({*missed}), key=missed.count)
    return (
        f"no trial of the front keeps all budgets, {most} is missed by {missed.count(most)} of {len(front)}; give more"
        f" trials (--trials), or set budgets.{most}=LIMIT and another output (--output)"
    )


def _scaled(measured: Measured, numbers: Sequence[int]) -> NDArray[np.float64]:
    """The objectives of trials, (trials, 3), each from 0 for the best to 1 for the worst among them."""
    values = np.array([measured[number].objectives for number in numbers])
    best, span = values.min(0), np.ptp(values, axis=0)
    scaled: NDArray[np.float64] = (values - best) / np.where(span > 0, span, 1)
    return scaled
