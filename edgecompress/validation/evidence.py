"""Evidence: every measure, taken on the file that ships and on the float model next to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgecompress.arithmetic import Arithmetic
from edgecompress.arrays import Array
from edgecompress.axes.classes import shown_axis
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import DataError
from edgecompress.metrics.agreement import Agreement
from edgecompress.metrics.metric import DEFAULT, Measure, named_measure
from edgecompress.metrics.running import Running
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Cpu
from edgecompress.runtime import ALL_CORES, open_session, run_session, session_rows
from edgecompress.step import Stage
from edgecompress.timing.latency import LatencyComparison, compare_times, interleave_sessions
from edgecompress.timing.noise import doubts_of
from edgecompress.validation.classes import ClassChange, class_changes
from edgecompress.validation.doubts import evidence_doubts
from edgecompress.validation.flips import Flips
from edgecompress.validation.label_shift import LabelShift, require_unshifted

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """What was measured of one stage: ``metric`` in its unit, or None; agreement with the original.

    ``times_ms`` are those of single calls, in runs that took turns with those of the other stages.
    """

    name: str
    size_bytes: int
    metric: float | None
    parity: Agreement
    times_ms: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was measured. ``original`` is the float ONNX model, ``compressed`` the artifact.

    ``original_metric`` and ``compressed_metric`` are the values of ``measure``, top-1 in percent by default, or None
    without labels; ``class_axis`` is the axis of the scores that holds the classes. Sizes are bytes of the files.
    ``doubts`` are reasons not to trust the rest. ``stages`` tell what each step gave, from the original to the
    artifact.
    ``arithmetic`` is that of metric and parity; times are always those of sessions as they are by default.
    ``classes`` are those of the metric, what lost most first; none where it has no value for each.
    """

    original_bytes: int
    compressed_bytes: int
    parity: Agreement
    original_metric: float | None
    compressed_metric: float | None
    evaluated_samples: int
    evaluation_digest: str
    latency: LatencyComparison
    flips: Flips
    stages: tuple[StageFigures, ...]
    doubts: tuple[str, ...] = ()
    class_axis: int | None = None
    arithmetic: Arithmetic = "exact"
    measure: Measure = field(default_factory=lambda: named_measure(DEFAULT))
    classes: tuple[ClassChange, ...] = ()

    @property
    def compression_ratio(self) -> float:
        """Original size / compressed size."""
        return self.original_bytes / self.compressed_bytes

    @property
    def metric_drop(self) -> float | None:
        """How much worse the artifact is than the original, in the unit of the metric; percentage points of percent."""
        return self.measure.drop(self.original_metric, self.compressed_metric)

    @property
    def accuracy_drop(self) -> float | None:
        """The drop of top-1 accuracy, in percentage points; None where another metric was measured."""
        return self.metric_drop if self.measure.name == DEFAULT else None

    @property
    def lost(self) -> tuple[str, ...]:
        """The outputs, and slices of outputs, that went silent in the artifact."""
        return self.parity.lost(silent=True)

    @property
    def noise(self) -> tuple[str, ...]:
        """Why not to trust the latencies, a line each; nothing on a quiet machine."""
        return doubts_of(np.array(self.stages[-1].times_ms), self.latency.ratio)


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


def gather(
    stages: Sequence[Stage],
    batches: Batches,
    cpu: Cpu,
    progress: Progress,
    examples: int = 0,
    arithmetic: Arithmetic = "exact",
) -> Evidence:
    """Measure an artifact against its original, and what lies between them.

    Args:
        stages: the original first, the artifact last; at least these two.
        batches: evaluation data; where they have labels, their metric is measured too.
        cpu: threads and number of timed runs.
        progress: told of every batch.
        examples: how many samples whose top class changed are kept.
        arithmetic: of the outputs that are compared: the target's.
    """
    contents = [stage.content for stage in stages]
    scores, rows = _score_files(contents, batches, progress, examples, arithmetic)
    with progress.step("measure latency"):
        sample = batches.first().sample(rows).inputs
        times = interleave_sessions(contents, sample, runs=cpu.runs, threads=cpu.threads)
    return Evidence(
        original_bytes=len(stages[0].content),
        compressed_bytes=len(stages[-1].content),
        parity=scores.agreements[-1],
        original_metric=scores.values[0],
        compressed_metric=scores.values[-1],
        evaluated_samples=scores.samples,
        evaluation_digest=scores.digest,
        latency=compare_times(times[:, 0], times[:, -1], cpu.threads),
        flips=scores.flips,
        stages=tuple(
            StageFigures(
                name=stage.name,
                size_bytes=len(stage.content),
                metric=value,
                parity=parity,
                times_ms=tuple(times[:, place].tolist()),
            )
            for place, (stage, value, parity) in enumerate(zip(stages, scores.values, scores.agreements, strict=True))
        ),
        doubts=evidence_doubts(scores, stages, batches),
        class_axis=batches.class_axis,
        arithmetic=arithmetic,
        measure=batches.measure,
        classes=scores.classes,
    )


def _score_files(
    contents: Sequence[bytes], batches: Batches, progress: Progress, examples: int, arithmetic: Arithmetic
) -> tuple[Scores, int]:
    """The scores, and the rows of one call; the sessions that hold all these weights are gone after it."""
    sessions = [open_session(content, ALL_CORES, background=True, arithmetic=arithmetic) for content in contents]
    return score(sessions, batches, progress, examples, by_class=True), session_rows(sessions[0], batches.axes) or 1


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
