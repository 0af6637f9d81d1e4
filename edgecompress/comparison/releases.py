"""Two bundles of a network: what a release of the new one in the place of the old one would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.bundle.deciding import measured_by
from edgecompress.bundle.held_out import is_recorded, recorded_class_axis, recorded_value, score_files
from edgecompress.bundle.measured_rows import HERE, NOWHERE, RECORDED
from edgecompress.bundle.reading import ARTIFACT, Bundle, read_bundle
from edgecompress.bundle.revalidation import evaluation_batches, read_golden
from edgecompress.comparison.changed_answers import MOST_LISTED, ChangedAnswers, changed_answers
from edgecompress.comparison.regressions import METRIC, SMALLEST_PERCENT, TIME, ReleaseVerdict, judge_release
from edgecompress.comparison.release_latency import LatencyChange, device_of, time_here, time_there
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import DataError, OutputError, first_line
from edgecompress.loading.folders.sample_names import sample_names
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.sources import Data
from edgecompress.metrics.agreement import Agreement
from edgecompress.metrics.metric import Measure
from edgecompress.modules.named_inputs import input_names
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import number
from edgecompress.recipe.device import Device
from edgecompress.recipe.limits import timed
from edgecompress.recipe.recorded import read_recorded
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import open_session, run_session, session_rows
from edgecompress.system.isolation import require_survives
from edgecompress.targets.cpus import arithmetic_of, threads_here, times_here
from edgecompress.timing.ratios import SAME_TIME, Ratio
from edgecompress.validation.doubtful_limits import doubtful_loss
from edgecompress.validation.drops import Drop
from edgecompress.validation.elsewhere.places import NamedPlace
from edgecompress.validation.scores import Scores

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

OF_ONE_NETWORK = "compare bundles of one network, with inputs of the same form"


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """The metric of both bundles: on the same data ``measured here``, or both as ``recorded`` of the same data.

    ``drop`` is None where it is not known, and has an interval where it was measured.
    """

    name: str
    unit: str
    source: str
    drop: Drop | None

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        drop = self.drop
        values = (None,) * 3 if drop is None else (drop.before, drop.after, drop.loss)
        return {
            **dict(zip(("old", "new", "loss"), values, strict=True)),
            "name": self.name,
            "unit": self.unit,
            "source": self.source,
            "interval_95": None if drop is None or drop.interval_95 is None else list(drop.interval_95),
            "verdict": None if drop is None else drop.verdict,
        }


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What changed from the old bundle to the new one, and the verdict on it.

    ``sizes`` are the bytes of both artifacts, ``agreement`` that of the new outputs with the old ones, on the
    evaluation data, or on the self-test's inputs where there were none, as ``answered`` says.
    """

    old: Path
    new: Path
    same_file: bool
    metric: MetricChange
    sizes: tuple[int, int]
    latency: LatencyChange
    agreement: Agreement
    answers: ChangedAnswers
    answered: str
    verdict: ReleaseVerdict

    @property
    def passed(self) -> bool:
        """Whether nothing is worse than its budget allows, beyond the noise of the machine."""
        return self.verdict.outcome == "pass"

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        old, new = self.sizes
        return {
            "old": str(self.old),
            "new": str(self.new),
            "same_file": self.same_file,
            "metric": self.metric.entry,
            "size_bytes": {"old": old, "new": new, "growth_percent": growth(self.sizes)},
            "latency_ms": self.latency.entry,
            "agreement": self.agreement.entry,
            "answers": {"data": self.answered, **self.answers.entry},
            "verdict": self.verdict.entry,
        }


def growth(sizes: tuple[int, int]) -> float:
    """By how many percent the second size is larger than the first.

    >>> growth((200, 203))
    1.5
    """
    old, new = sizes
    return 100 * (new - old) / old


def compare_bundles(
    old: Path,
    new: Path,
    limits: Mapping[str, float | None],
    *,
    evaluation: Data | None,
    progress: Progress,
    by: MeasuredBy = AS_NAMED,
    device: Device | None = None,
    runs: int | None = None,
) -> Difference:
    """Compare two bundles of a network, both run in turn on this machine as the target of the new one computes.

    Args:
        old: the folder of the bundle that is in use.
        new: the folder of the bundle that is to replace it.
        limits: by their names in :data:`~edgecompress.comparison.regressions.LIMITS`; None drops one.
        evaluation: DATA on which both answer; without it the self-test's inputs of the new one.
        progress: told of the progress.
        by: what is measured in place of the metric of the new bundle, and what the outputs become before.
        device: on which both are timed, where it names one. Of the new bundle's own recipe only threads and cores are
            taken, where it has none.
        runs: timed runs of each artifact, in place of the new bundle's.

    Raises:
        OutputError: one is no bundle, was changed, or takes other inputs than the other.
        DataError: the evaluation data does not fit, or a limit is on a metric that is not known.
        RecipeError: a limit is no number of at least 0; there is no such metric, or it fails; or the device cannot be
            used.
    """
    asked = {
        name: None if limit is None else number(name, limit, lambda least: least >= 0, "give at least 0")
        for name, limit in limits.items()
    }
    bundles = (read_bundle(old), read_bundle(new))
    last = bundles[1]
    settled = measured_by(read_recorded(last.manifest.recipe), by, progress.warn, runs=evaluation is not None)
    measure, recipe = settled.measure, timed(settled.recipe, runs)
    there = device_of((device or Device()).with_cores_of(recipe.device))
    golden = _golden(bundles, recipe)
    if evaluation is None:
        batches = _as_batches(golden, last, measure)
    else:
        batches = evaluation_batches(last, evaluation, recipe, measure)
    files = [bundle.artifact for bundle in bundles]
    scores = score_files(last, batches, files, progress, MOST_LISTED)
    metric = _metric(bundles, measure, scores, measured=evaluation is not None)
    if asked.get(METRIC) is not None and metric.drop is None:
        raise DataError(f"{METRIC!r} was asked for, and the metric is not measured; give labelled --evaluation data")
    before = None if metric.drop is None else metric.drop.before
    for line in doubtful_loss(measure, METRIC, asked.get(METRIC), before):
        progress.warn(line)
    sizes = (files[0].stat().st_size, files[1].stat().st_size)
    same = len({bundle.manifest.files[ARTIFACT].sha256 for bundle in bundles}) == 1
    weighed = asked.get(TIME, SMALLEST_PERCENT) is not None
    latency = _latency(files, golden, recipe, there, progress, same=same) if weighed else _untimed(recipe)
    # A limit that is asked for is on whatever times them; the one that always holds is for the target's own CPU.
    decides = same or TIME in asked or there is not None or times_here(recipe.cpu.isa)
    names = () if evaluation is None else sample_names(evaluation, "evaluation", recipe)
    return Difference(
        old=old,
        new=new,
        same_file=same,
        metric=metric,
        sizes=sizes,
        latency=latency,
        agreement=scores.agreements[-1],
        answers=changed_answers(scores, names, recipe.data.classes),
        answered="self-test" if evaluation is None else "evaluation",
        verdict=judge_release(asked, metric.drop, measure.drop_unit, growth(sizes), latency.ratio if decides else None),
    )


def _golden(bundles: tuple[Bundle, Bundle], recipe: Recipe) -> Batch:
    """The inputs of the new bundle's self-test, which both artifacts take, and answer in outputs of one form."""
    for bundle in bundles:
        named = f"{bundle.artifact.name!r} of bundle {str(bundle.path)!r}"
        require_survives(bundle.artifact, named, OutputError, "do not use it")
    sessions = [open_session(bundle.artifact, 1, arithmetic=arithmetic_of(recipe)) for bundle in bundles]
    last = bundles[1]
    inputs, outputs = read_golden(last.path, sessions[1])
    taken = [_taken(session) for session in sessions]
    if taken[0] != taken[1]:
        raise _other(bundles, f"takes {_told(taken[1])}, the old one {_told(taken[0])}")
    found = [(output.name, output.type) for output in sessions[1].get_outputs()]
    if [(output.name, output.type) for output in sessions[0].get_outputs()] != found:
        raise _other(bundles, "gives other outputs than the old one")
    shapes = [output.shape for output in _run(sessions[0], inputs, bundles)]
    if shapes != [output.shape for output in outputs]:
        raise _other(bundles, f"gives outputs of shapes {[output.shape for output in outputs]}, the old one {shapes}")
    return Batch(inputs=inputs, class_axis=recorded_class_axis(last), axes=recipe.export.batch_axes)


def _taken(session: InferenceSession) -> dict[str, str]:
    return {spec.name: spec.type for spec in session.get_inputs()}


def _told(taken: Mapping[str, str]) -> str:
    return ", ".join(f"{name!r} of {kind.removeprefix('tensor(').removesuffix(')')}" for name, kind in taken.items())


def _run(session: InferenceSession, inputs: Inputs, bundles: tuple[Bundle, Bundle]) -> list[Any]:
    try:
        return run_session(session, inputs)
    except Exception as error:
        raise _other(bundles, f"takes inputs on which the old one does not run: {first_line(error)}") from error


def _other(bundles: tuple[Bundle, Bundle], what: str) -> OutputError:
    return OutputError(f"bundle {str(bundles[1].path)!r} {what}; {OF_ONE_NETWORK}")


def _as_batches(golden: Batch, bundle: Bundle, measure: Measure) -> Batches:
    """The self-test's inputs as data without labels."""
    return Batches(
        role="self-test",
        source=lambda: [dict(golden.inputs)],
        inputs=input_names(ir.load(bundle.artifact)),
        use_labels=False,
        class_axis=golden.class_axis,
        axes=golden.axes,
        measure=measure,
    )


def _metric(bundles: tuple[Bundle, Bundle], measure: Measure, scores: Scores, *, measured: bool) -> MetricChange:
    """The metric as it was measured; without data as both record it of the same data."""
    drop, source = scores.drop, HERE
    if not measured:
        values = [recorded_value(bundle, measure, "compressed") for bundle in bundles]
        digests = [bundle.manifest.data.get("evaluation_digest") for bundle in bundles]
        alike = None not in digests and digests[0] == digests[1] and all(is_recorded(each, measure) for each in bundles)
        before, after = values
        drop, source = None, RECORDED
        if alike and before is not None and after is not None:
            drop = Drop(before=before, after=after, unit=measure.unit, higher_is_better=measure.wants_more)
    return MetricChange(name=measure.name, unit=measure.unit, source=NOWHERE if drop is None else source, drop=drop)


def _untimed(recipe: Recipe, ratio: Ratio | None = None) -> LatencyChange:
    return LatencyChange(old=None, new=None, ratio=ratio, threads=threads_here(recipe.cpu.threads))


def _latency(
    files: list[Path], golden: Batch, recipe: Recipe, device: NamedPlace | None, progress: Progress, *, same: bool
) -> LatencyChange:
    if same:
        return _untimed(recipe, SAME_TIME)
    session = open_session(files[1], threads_here(recipe.cpu.threads), arithmetic="native")
    sample = (golden if session_rows(session, golden.axes) else golden.slice(0, 1)).inputs
    if device is not None:
        return time_there(device, files, sample, recipe.cpu, progress)
    return time_here(files, sample, recipe.cpu, progress)
