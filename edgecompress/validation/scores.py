"""Scores: one pass of several models over the same batches, and all that it tells of their answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecompress.arrays import Array
from edgecompress.axes.classes import shown_axis
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import DataError
from edgecompress.metrics.agreement import Agreement
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.running import Running
from edgecompress.progress import Progress
from edgecompress.runtime import run_session
from edgecompress.validation.classes import ClassChange, class_changes
from edgecompress.validation.flips import Flips
from edgecompress.validation.label_shift import LabelShift, require_unshifted

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One pass of several models over the same batches; the first model is the reference.

    ``agreements`` and ``values``, those of the metric, have one entry for each model; ``labels`` is how the first
    model's classes lie to the labels, where the metric is of classes; ``flips`` are those of the last one; ``digest``
    is a SHA-256 of the data; ``classes`` are those of the metric, of the first model and the last one.
    """

    agreements: tuple[Agreement, ...]
    values: tuple[float | None, ...]
    labels: LabelShift | None
    flips: Flips
    samples: int
    digest: str
    classes: tuple[ClassChange, ...] = ()


def score(
    sessions: Sequence[InferenceSession],
    batches: Batches,
    progress: Progress,
    examples: int = 0,
    *,
    by_class: bool = False,
) -> Scores:
    """Run every model over every batch, once.

    Args:
        sessions: of the models, the reference first.
        batches: the data.
        progress: told of every batch.
        examples: how many samples whose top class changed are kept.
        by_class: whether the metric is asked for the value of each class, too.

    Raises:
        DataError: a batch does not fit the models, only some of the batches have labels, or the labels are shifted.
        RecipeError: the metric fails.
    """
    agreements = [Agreement() for _ in sessions]
    metrics = [Running(batches.measure) for _ in sessions]
    samples, labelled, flips, shift = 0, 0, Flips(kept=examples), None
    bare: list[int] = []
    hasher, names = hashlib.sha256(), [spec.name for spec in sessions[0].get_outputs()]
    for index, batch in enumerate(progress.track(batches, "evaluate")):
        samples += batch.rows
        batch.update(hasher)
        outputs = [run_session(session, batch.inputs) for session in sessions]
        where = f"{batches.role} batch {index}"
        axis = _class_axis(batches.measure, batch, outputs[0][0], where)
        found = [Agreement.between(outputs[0], o, names=names, class_axis=axis) for o in outputs]
        agreements = [before.merge(here) for before, here in zip(agreements, found, strict=True)]
        if axis is not None and (batch.labels is None or batches.measure.of_raw_scores):
            flips = flips.add(outputs[0][0], outputs[-1][0], batch)
        if batch.labels is None:
            bare.append(index)
            continue
        labelled += batch.rows
        for metric, own in zip(metrics, outputs, strict=True):
            metric.update(own, batch.labels, where, batch.class_axis, names)
        if batches.measure.of_raw_scores:
            here = LabelShift.of(outputs[0][0], batch.labels, batch.class_axis)
            shift = here if shift is None else shift.merge(here)
    if labelled not in (0, samples):
        raise DataError(
            f"only {labelled} of {samples} {batches.role} samples have labels, and batch {bare[0]} has none; give all"
            " or none"
        )
    if shift is not None:
        require_unshifted(shift, batches.role)
    return Scores(
        agreements=tuple(agreements),
        values=tuple(metric.value for metric in metrics),
        labels=shift,
        flips=flips,
        samples=samples,
        digest=hasher.hexdigest(),
        classes=class_changes(batches.measure, metrics[0].per_class, metrics[-1].per_class) if by_class else (),
    )


def _class_axis(measure: Measure, batch: Batch, scores: Array, where: str) -> int | None:
    """Where the first output holds the scores of classes: as the labels say, where the metric is of classes."""
    return shown_axis(batch, scores, where) if measure.of_raw_scores else batch.class_axis
