"""What became of each class: its value of the metric before and after, and whether one lost far more than the others.

A mean over the classes, or over the samples, hides it: of a hundred classes one may lose twenty points and the mean a
fifth of a point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecompress.metrics.metric import Measure
from edgecompress.units import metric, metric_change

MUCH = 0.1
"""Of 100 %, or of the class's own value before: a class that loses less than this beyond the whole is not told."""
BEYOND_GAINS = 2.0
"""Chance moves classes up as far as down: a loss counts as one where it is so many times the largest gain."""


@dataclass(frozen=True, kw_only=True)
class ClassChange:
    """One class: its name, its values before and after, and by how much the second is worse.

    A value is None where the class does not count, as one that is neither there nor answered; then there is no drop.
    """

    name: str
    before: float | None
    after: float | None
    drop: float | None


def class_changes(measure: Measure, before: Mapping[str, float], after: Mapping[str, float]) -> tuple[ClassChange, ...]:
    """The classes of both networks: what lost most first, what has no value in one of them last."""
    changes = [_change(measure, name, before.get(name), after.get(name)) for name in {**before, **after}]
    return tuple(sorted(changes, key=lambda change: (change.drop is None, -(change.drop or 0.0))))


def _change(measure: Measure, name: str, before: float | None, after: float | None) -> ClassChange:
    return ClassChange(name=name, before=before, after=after, drop=measure.drop(before, after))


def hidden_loss(measure: Measure, drop: float | None, changes: Sequence[ClassChange]) -> ClassChange | None:
    """The class that lost most, where it lost far more than the whole and than chance explains.

    Args:
        measure: what was measured.
        drop: of the whole.
        changes: of its classes, as :func:`class_changes` orders them.
    """
    beyond = [change.drop - drop for change in changes if change.drop is not None and drop is not None]
    if len(beyond) < 2:
        return None
    worst, gain = changes[0], max(-min(beyond), 0.0)
    much = MUCH * (100.0 if measure.in_percent else abs(worst.before or 0.0))
    return worst if beyond[0] >= much and beyond[0] > BEYOND_GAINS * gain else None


def hidden_loss_in_words(measure: Measure, before: float, after: float, lost: ClassChange) -> str:
    """What is told of a class that lost far more than the whole, whose values are ``before`` and ``after``."""
    assert lost.before is not None
    assert lost.after is not None
    values = [metric(value, measure.unit) for value in (lost.before, lost.after)]
    return (
        f"class {lost.name!r} went from {values[0]} to {values[1]}, while {measure.in_words} changed by"
        f" {metric_change(before, after, measure.unit)}; look at its samples before this ships"
    )
