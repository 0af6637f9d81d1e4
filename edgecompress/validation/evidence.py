"""Evidence: every measure, taken on the file that ships and on the float model next to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgecompress.arithmetic import Arithmetic
from edgecompress.calibration.likeness import Levels
from edgecompress.data.batches import Batches
from edgecompress.metrics.agreement import Agreement
from edgecompress.metrics.metric import DEFAULT, Measure, named_measure
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Cpu
from edgecompress.runtime import ALL_CORES, open_session, session_rows
from edgecompress.step import Stage
from edgecompress.targets.cpus import threads_here
from edgecompress.timing.latency import LatencyComparison, compare_times, interleave_sessions
from edgecompress.timing.noise import doubts_of
from edgecompress.validation.changes import Changes
from edgecompress.validation.classes import ClassChange
from edgecompress.validation.doubts import evidence_doubts
from edgecompress.validation.drops import Drop
from edgecompress.validation.flips import Flips
from edgecompress.validation.scores import Scores, score


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """What was measured of one stage: ``metric`` in its unit, or None; agreement with the original.

    ``times_ms`` are those of single calls, in runs that took turns with those of the other stages. ``drop`` is that of
    the metric from the stage before.
    """

    name: str
    size_bytes: int
    metric: float | None
    parity: Agreement
    times_ms: tuple[float, ...]
    drop: Drop | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was measured. ``original`` is the float ONNX model, ``compressed`` the artifact.

    ``original_metric`` and ``compressed_metric`` are the values of ``measure``, top-1 in percent by default, or None
    without labels; ``class_axis`` is the axis of the scores that holds the classes. Sizes are bytes of the files.
    ``doubts`` are reasons not to trust the rest. ``stages`` tell what each step gave, from the original to the
    artifact.
    ``arithmetic`` is that of metric and parity; times are always those of sessions as they are by default.
    ``classes`` are those of the metric, what lost most first; none where it has no value for each.
    ``changes`` are those of answers that are no class of a sample, which ``flips`` has. ``drop`` is that of the metric,
    with its interval. ``levels`` are those of the inputs, sample by sample.
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
    changes: Changes = field(default_factory=lambda: Changes(kept=0))
    drop: Drop | None = None
    levels: Levels = field(default_factory=dict, repr=False, compare=False)

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
        first, last = (np.array(stage.times_ms) for stage in (self.stages[0], self.stages[-1]))
        return doubts_of(last, self.latency.ratio, first_ms=first)


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
        examples: how many samples whose answer changed are kept.
        arithmetic: of the outputs that are compared: the target's.
    """
    contents = [stage.content for stage in stages]
    scores, rows = _score_files(contents, batches, progress, examples, arithmetic)
    with progress.step("measuring latency"):
        sample = batches.first().sample(rows).inputs
        threads = threads_here(cpu.threads)
        times = interleave_sessions(contents, sample, runs=cpu.runs, threads=threads)
    return Evidence(
        original_bytes=len(stages[0].content),
        compressed_bytes=len(stages[-1].content),
        parity=scores.agreements[-1],
        original_metric=scores.values[0],
        compressed_metric=scores.values[-1],
        evaluated_samples=scores.samples,
        evaluation_digest=scores.digest,
        latency=compare_times(times[:, 0], times[:, -1], threads),
        flips=scores.flips,
        stages=tuple(
            StageFigures(
                name=stage.name,
                size_bytes=len(stage.content),
                metric=value,
                parity=parity,
                times_ms=tuple(times[:, place].tolist()),
                drop=scores.drops[place],
            )
            for place, (stage, value, parity) in enumerate(zip(stages, scores.values, scores.agreements, strict=True))
        ),
        doubts=evidence_doubts(scores, stages, batches),
        class_axis=batches.class_axis,
        arithmetic=arithmetic,
        measure=batches.measure,
        classes=scores.classes,
        changes=scores.changes,
        drop=scores.drop,
        levels=scores.levels,
    )


def _score_files(
    contents: Sequence[bytes], batches: Batches, progress: Progress, examples: int, arithmetic: Arithmetic
) -> tuple[Scores, int]:
    """The scores, and the rows of one call; the sessions that hold all these weights are gone after it."""
    sessions = [open_session(content, ALL_CORES, background=True, arithmetic=arithmetic) for content in contents]
    return score(sessions, batches, progress, examples, in_full=True), session_rows(sessions[0], batches.axes) or 1
