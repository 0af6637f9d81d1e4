"""Readings: whether the float model fits the targets far better where these, or its boxes, are read in another way.

A metric says how well a network does, and not why: targets that are shifted by a sample, masks by a pixel and boxes in
another order than the metric's give a low value for the original and the artifact alike, and so no drop. The first
samples are therefore measured as such a fault would have them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgecompress.arrays import Array
from edgecompress.errors import plural
from edgecompress.metrics.accuracy import IGNORED_LABEL
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.running import Running
from edgecompress.metrics.single import add_sample, known_value, sample_of
from edgecompress.metrics.sums import Redrawn
from edgecompress.metrics.targets import is_numbers
from edgecompress.units import metric
from edgecompress.validation.drops import drops

SAMPLES = 40
"""That are measured in every reading, the first ones."""
LEAST = 0.01
"""By how much another reading is better where it is told: a share of 100 %, or of the value."""
UNLIKE = 0.5
"""The share of the value in which classes do not count that a detector has at least, as good as it finds boxes."""


@dataclass(frozen=True, kw_only=True)
class PairedSample:
    """A sample in a batch of its own: what the metric is given, and the targets."""

    given: Any
    targets: Any


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A way to read a sample: what is told of it, what to do, and how a sample and the one before it make it.

    ``most_kept`` is the share of its value up to which the value as the data are is told to be less. ``opposite`` says
    where the data would lie on the other side: what fits as well there fits no better than anything would.
    """

    where: str
    fix: str
    read: Callable[[PairedSample, PairedSample], PairedSample]
    most_kept: float = 1.0
    opposite: str | None = None


def _moved(labels: Array, axis: int, step: int) -> Array:
    """Labels one place further along an axis; what comes in from outside does not count."""
    moved = np.roll(labels, step, axis)
    border = [slice(None)] * labels.ndim
    border[axis] = slice(0, 1) if step > 0 else slice(-1, None)
    moved[tuple(border)] = IGNORED_LABEL
    return moved


def _with_boxes(pair: PairedSample, read: Callable[[Array], Array]) -> PairedSample:
    return replace(
        pair, given=[{**found, "boxes": read(np.asarray(found["boxes"]).reshape(-1, 4))} for found in pair.given]
    )


def _without_classes(pair: PairedSample) -> PairedSample:
    given, targets = (
        [{**each, "labels": np.zeros(len(each["boxes"]), np.int64)} for each in side]
        for side in (pair.given, pair.targets)
    )
    return PairedSample(given=given, targets=targets)


BEFORE, AFTER = (f"each sample has the target of the one {side} it" for side in ("before", "after"))
ORDER = "check that inputs and targets are in one order, and none is left out"
MOVED_SAMPLES = (
    Reading(
        where=BEFORE,
        fix=ORDER,
        read=lambda former, own: PairedSample(given=own.given, targets=former.targets),
        opposite=AFTER,
    ),
    Reading(
        where=AFTER,
        fix=ORDER,
        read=lambda former, own: PairedSample(given=former.given, targets=own.targets),
        opposite=BEFORE,
    ),
)
DIRECTIONS = {"down": ("up", -2, 1), "up": ("down", -2, -1), "right": ("left", -1, 1), "left": ("right", -1, -1)}
"""The opposite of each, and which axis of a mask is moved which way."""


def _moved_masks() -> Iterator[Reading]:
    for word, (other, axis, step) in DIRECTIONS.items():
        yield Reading(
            where=f"the masks are moved {word} by a pixel",
            fix="check how images and masks are resized and cut",
            read=lambda _, own, axis=axis, step=step: replace(own, targets=_moved(own.targets, axis, step)),  # type: ignore[misc]
            opposite=f"the masks are moved {other} by a pixel",
        )


MOVED_MASKS = tuple(_moved_masks())
FORMS: dict[str, Callable[[Array], Array]] = {
    "left, top, width and height": lambda boxes: np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1),
    "center, width and height": lambda boxes: np.concatenate(
        [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1
    ),
    "top, left, bottom and right": lambda boxes: boxes[:, [1, 0, 3, 2]],
}
"""Other orders of boxes than a metric's, brought into it."""
OTHER_BOXES = (
    *(
        Reading(
            where=f"its boxes are read as {form}",
            fix="give left, top, right, bottom (--postprocess)",
            read=lambda _, own, read=read: _with_boxes(own, read),  # type: ignore[misc]
        )
        for form, read in FORMS.items()
    ),
    Reading(
        where="classes do not count",
        fix="check that the boxes, scores and labels of a sample are in one order",
        read=lambda _, own: _without_classes(own),
        most_kept=UNLIKE,
    ),
)


class Readings:
    """The metric of the first samples of a network, as the data are and in each other reading.

    Metrics that cannot be drawn anew are left alone: whether another reading is better by chance could not be said.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = replace(measure, postprocess=None)
        self._seen = 0 if isinstance(measure.make(), Redrawn) else SAMPLES
        self._former: PairedSample | None = None
        self._own = Running(self._measure)
        self._others: dict[Reading, Running] | None = None

    def add(self, given: Any, targets: Any, rows: int) -> None:
        """Add a batch, as the metric was given it."""
        for row in range(min(rows, SAMPLES - self._seen)):
            own = PairedSample(given=sample_of(given, row, rows), targets=sample_of(targets, row, rows))
            self._seen += 1
            if own.given is None or own.targets is None:
                self._former = None
                continue
            if self._others is None:
                self._others = {reading: Running(self._measure) for reading in readings_of(self._measure, own)}
            if self._former is not None and add_sample(self._own, own.given, own.targets):
                self._add(self._former, own, self._others)
            self._former = own

    @property
    def doubts(self) -> tuple[str, ...]:
        """A sentence on the reading that is best, where it is better beyond chance."""
        own = known_value(self._own)
        if own is None or not self._others:
            return ()
        better = [(self._better(reading), reading) for reading in self._others]
        told = [
            (value, reading)
            for value, reading in better
            if value is not None and (self._measure.kept(value, own) or 0.0) <= reading.most_kept
        ]
        if not told:
            return ()
        value, reading = min(told, key=lambda each: self._measure.drop(own, each[0]) or 0.0)
        first, second = (metric(each, self._measure.unit) for each in (own, value))
        return (
            f"the float model's {self._measure.in_words} on the first {plural(self._seen, 'sample')} is"
            f" {first}, and {second}"
            f" where {reading.where}; {reading.fix}",
        )

    def _add(self, former: PairedSample, own: PairedSample, others: dict[Reading, Running]) -> None:
        """Add a sample to every reading; one that cannot have it is no reading of these data."""
        for reading, running in [*others.items()]:
            try:
                pair = reading.read(former, own)
                fits = add_sample(running, pair.given, pair.targets)
            except (LookupError, TypeError, ValueError):
                fits = False
            if not fits:
                del others[reading]

    def _better(self, reading: Reading) -> float | None:
        """The value of a reading, where it is better than the data as they are, and than its opposite."""
        known = self._others or {}
        opposites = [running for other, running in known.items() if other.where == reading.opposite]
        better = all(self._is_better(other, known[reading]) for other in (self._own, *opposites))
        return known_value(known[reading]) if better else None

    def _is_better(self, first: Running, second: Running) -> bool:
        """Whether the second is better by twice what chance explains."""
        values = [known_value(running) for running in (first, second)]
        drop = self._measure.drop(*values)
        if drop is None or -drop <= LEAST * (100.0 if self._measure.in_percent else abs(values[0] or 0.0)):
            return False
        (found,) = drops(self._measure, values, [first.drawable, second.drawable], [(0, 1)])
        if found is None or found.interval_95 is None:
            return False
        low, high = found.interval_95
        return high < -(high - low) / 2


def readings_of(measure: Measure, pair: PairedSample) -> tuple[Reading, ...]:
    """The other readings that a sample may have."""
    masks = measure.of_classes and is_numbers(pair.targets) and pair.targets.ndim > 2
    given = pair.given[0] if isinstance(pair.given, list) else None
    boxes = isinstance(given, dict) and {"boxes", "labels", "scores"} <= given.keys()
    return (*MOVED_SAMPLES, *(MOVED_MASKS if masks else ()), *(OTHER_BOXES if boxes else ()))
