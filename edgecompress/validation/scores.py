"""Scores: one pass of several models over the same batches, and all that it tells of their answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edgecompress.arrays import Array
from edgecompress.axes.classes import shown_axis
from edgecompress.calibration.likeness import Levels, batch_levels, joined
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import DataError, plural
from edgecompress.metrics.agreement import Agreement
from edgecompress.metrics.outputs import given_outputs
from edgecompress.metrics.running import Running
from edgecompress.progress import Progress
from edgecompress.runtime import run_session
from edgecompress.validation.changes import Answered, Changes
from edgecompress.validation.classes import ClassChange, class_changes
from edgecompress.validation.drops import Drop, drops
from edgecompress.validation.flips import Flips
from edgecompress.validation.label_shift import LabelShift, require_unshifted
from edgecompress.validation.readings import Readings

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One pass of several models over the same batches; the first model is the reference.

    ``agreements`` and ``values``, those of the metric, have one entry for each model; ``labels`` is how the first
    model's classes lie to the labels, where the metric is of classes; ``flips`` are those of the last one; ``digest``
    is a SHA-256 of the data; ``classes`` are those of the metric, and ``changes`` those of other answers than classes,
    of the first model and the last one. ``drop`` is that of the metric from the first model to the last one, and
    ``drops`` are those of each model from the one before it, the first's None; ``misread`` says in which other reading
    the targets fit the first model far better; ``levels`` are those of the inputs, where they were asked for.
    """

    agreements: tuple[Agreement, ...]
    values: tuple[float | None, ...]
    labels: LabelShift | None
    flips: Flips
    samples: int
    digest: str
    classes: tuple[ClassChange, ...] = ()
    changes: Changes = field(default_factory=lambda: Changes(kept=0))
    drop: Drop | None = None
    drops: tuple[Drop | None, ...] = ()
    misread: tuple[str, ...] = ()
    levels: Levels = field(default_factory=dict)


def score(
    sessions: Sequence[InferenceSession],
    batches: Batches,
    progress: Progress,
    examples: int = 0,
    *,
    in_full: bool = False,
) -> Scores:
    """Run every model over every batch, once.

    Args:
        sessions: of the models, the reference first.
        batches: the data.
        progress: told of every batch.
        examples: how many samples whose answer changed are kept.
        in_full: whether the metric is asked for the value of each class, its drops for their intervals, the targets
            for other readings, and the inputs for their levels, too.

    Raises:
        DataError: a batch does not fit the models, only some of the batches have labels, or the labels are shifted.
        RecipeError: the metric fails.
    """
    scoring = _Scoring(sessions, batches, examples, Readings(batches.measure) if in_full else None)
    for batch in progress.track(batches, "evaluating", "batch"):
        scoring.add(batch)
    return scoring.scores(in_full=in_full)


class _Scoring:
    """What is added up over the batches of a pass."""

    def __init__(
        self, sessions: Sequence[InferenceSession], batches: Batches, examples: int, readings: Readings | None
    ) -> None:
        self._sessions, self._measure, self._role = sessions, batches.measure, batches.role
        self._names = [spec.name for spec in sessions[0].get_outputs()]
        self._agreements = [Agreement() for _ in sessions]
        self._metrics = [Running(batches.measure) for _ in sessions]
        self._flips, self._changes = Flips(kept=examples), Changes(kept=examples)
        self._shift: LabelShift | None = None
        self._readings = readings
        self._levels: dict[str, list[Array]] = {}
        self._hasher = hashlib.sha256()
        self._samples = self._labelled = self._batches = 0
        self._first_bare: int | None = None

    def add(self, batch: Batch) -> None:
        """Run every model over a batch."""
        batch.update(self._hasher)
        outputs = [run_session(session, batch.inputs) for session in self._sessions]
        where = f"{self._role} batch {self._batches}"
        axis = self._class_axis(batch, outputs[0][0], where)
        found = [Agreement.between(outputs[0], own, names=self._names, class_axis=axis) for own in outputs]
        self._agreements = [before.merge(here) for before, here in zip(self._agreements, found, strict=True)]
        if axis is not None and (batch.labels is None or self._measure.of_raw_scores):
            self._flips = self._flips.add(outputs[0][0], outputs[-1][0], batch)
        given = self._measured(batch, outputs, where)
        if self._readings is not None and batch.labels is not None:
            self._readings.add(*given[0], batch.rows)
        if self._readings is not None:
            for name, rows in batch_levels(batch).items():
                self._levels.setdefault(name, []).append(rows)
        if not self._flips.samples:  # which has the answers that are a class for each sample
            before, after = (Answered(outputs=outputs[end], given=given[end][0]) for end in (0, -1))
            self._changes = self._changes.add(self._measure, batch, before, after, given[0][1])
        self._samples, self._batches = self._samples + batch.rows, self._batches + 1

    def scores(self, *, in_full: bool) -> Scores:
        """What the pass gave."""
        if self._labelled not in (0, self._samples):
            raise DataError(
                f"of {plural(self._samples, f'{self._role} sample')}, only {self._labelled} have labels, and batch"
                f" {self._first_bare} has none; give all or none"
            )
        if self._shift is not None:
            require_unshifted(self._shift, self._role)
        ends = (self._metrics[0], self._metrics[-1])
        values = tuple(metric.value for metric in self._metrics)
        whole, *steps = self._drops(values) if in_full else (None,)
        return Scores(
            agreements=tuple(self._agreements),
            values=values,
            labels=self._shift,
            flips=self._flips,
            samples=self._samples,
            digest=self._hasher.hexdigest(),
            changes=self._changes,
            classes=class_changes(self._measure, *(end.per_class for end in ends)) if in_full else (),
            drop=whole,
            drops=(None, *steps),
            misread=() if self._readings is None else self._readings.doubts,
            levels=joined(self._levels),
        )

    def _drops(self, values: Sequence[float | None]) -> tuple[Drop | None, ...]:
        """From the first model to the last one; and from each one to the next."""
        places = range(len(values))
        drawables = [metric.drawable for metric in self._metrics]
        return drops(self._measure, values, drawables, [(0, places[-1]), *pairwise(places)])

    def _measured(self, batch: Batch, outputs: Sequence[Sequence[Array]], where: str) -> list[tuple[Any, Any]]:
        """What the metric was given of each model, and of the targets; without these the outputs as they are."""
        if batch.labels is None:
            self._first_bare = self._batches if self._first_bare is None else self._first_bare
            return [(given_outputs(own, self._names), None) for own in outputs]
        self._labelled += batch.rows
        pairs = zip(self._metrics, outputs, strict=True)
        given = [metric.update(own, batch.labels, where, batch.class_axis, self._names) for metric, own in pairs]
        if self._measure.of_raw_scores:
            here = LabelShift.of(outputs[0][0], batch.labels, batch.class_axis)
            self._shift = here if self._shift is None else self._shift.merge(here)
        return given

    def _class_axis(self, batch: Batch, scores: Array, where: str) -> int | None:
        """Where the first output holds the scores of classes: as the labels say, where the metric is of classes."""
        return shown_axis(batch, scores, where) if self._measure.of_raw_scores else batch.class_axis
