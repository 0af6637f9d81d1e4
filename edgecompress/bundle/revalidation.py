"""Validate a bundle again: hashes first, then every measure that this machine can take."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.arrays import Array, Inputs
from edgecompress.bundle.compiled import require_same_compiler
from edgecompress.bundle.deciding import judging
from edgecompress.bundle.device_rows import decided_by_devices, timing_of
from edgecompress.bundle.held_out import GIVE_ORIGINAL, measure_quality, recorded_class_axis
from edgecompress.bundle.measured_rows import (
    HERE,
    RECORDED,
    MeasuredRow,
    compression_row,
    judged_in_the_record,
    recorded_speedup,
)
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.bundle.require_measured import UNMEASURED, only_recorded, tell_unmeasured
from edgecompress.bundle.signature import load_verify_key, verify_bundle
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import DataError, ModelError, OutputError, first_line
from edgecompress.exporters.ort_format import ORT_ARTIFACT, check_same_bits
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.sources import Data, open_batches
from edgecompress.metrics.agreement import Agreement, listed
from edgecompress.metrics.metric import Measure
from edgecompress.progress import Progress
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.device import Device
from edgecompress.recipe.limits import timed
from edgecompress.recipe.recorded import missing_names, read_recorded
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import open_session, run_session, session_rows, signature
from edgecompress.system.archives import read_npz
from edgecompress.system.isolation import require_file, require_survives
from edgecompress.targets.cpus import arithmetic_of, threads_here
from edgecompress.timing.interleaving import interleave
from edgecompress.timing.latency import interleave_sessions, latency_intervals, summarize
from edgecompress.timing.ratios import ratio_of
from edgecompress.validation.another_cpu import decided_here, left_open, left_open_in_words
from edgecompress.validation.budgets import MEASURES, Verdict, comparable, judge, metric_units
from edgecompress.validation.doubtful_limits import LOSS, doubtful_factors, doubtful_loss
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.judged import Scoring
from edgecompress.validation.elsewhere.places import NamedPlace, find_places, prepare
from edgecompress.validation.elsewhere.results import Elsewhere, Entry
from edgecompress.validation.elsewhere.timed import TimingTask

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, kw_only=True)
class Revalidation:
    """The measures of a bundle on this machine and at other places, and the verdict on them.

    ``elsewhere`` has the outcomes at other places, and ``sources`` says for each of its keys where they are from.
    ``lost`` names the outputs, and slices of outputs, that were lost when the bundle was written, or are here.
    ``recorded`` says whether the manifest has now what devices measured.
    """

    rows: tuple[MeasuredRow, ...]
    verdict: Verdict
    elsewhere: Elsewhere
    sources: Mapping[str, str]
    lost: tuple[str, ...] = ()
    recorded: bool = False

    @property
    def measured_now(self) -> dict[str, Entry]:
        """The entries of the devices that measured something now."""
        newer = self.sources["runtimes"] == HERE
        return {name: entry for name, entry in self.elsewhere.runtimes.items() if newer and entry.get("measured")}

    @property
    def passed(self) -> bool:
        """Whether every budget that could be measured holds, beyond the noise of the machine."""
        return self.verdict.outcome == "pass"

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        measures = {row.measure: row.entry for row in self.rows}
        elsewhere = self.elsewhere.with_sources(self.sources)
        return {"measures": measures, **elsewhere, "lost": list(self.lost), "verdict": self.verdict.entry}


def revalidate(
    folder: Path,
    limits: Mapping[str, float | None],
    *,
    evaluation: Data | None,
    original: Path | None,
    on: Sequence[str],
    progress: Progress,
    verify_key: Path | None = None,
    by: MeasuredBy = AS_NAMED,
    require_measured: bool = False,
    runs: int | None = None,
    device: Device | None = None,
) -> Revalidation:
    """Check a bundle's bytes, then measure it against its budgets.

    Args:
        folder: the bundle.
        limits: budgets that replace those of its recipe; None drops one.
        evaluation: DATA with labels; without it the recorded metric counts.
        original: the float ONNX file, which is timed next to the artifact and run on the same evaluation data; without
            it the recorded speedup counts, and a drop of the metric is measured on the data of the record only.
        on: names of other places to run; where none is given of a kind, what was recorded counts.
        progress: told of the progress.
        by: what is measured in place of the metric of the bundle's recipe, and what the outputs become before. Data
            for a bundle that was measured by code of its maker's, which is not run unasked, need it.
        verify_key: a public key of Ed25519 in a PEM file, with which the bundle has to be signed.
        require_measured: whether no budget is kept by what is only recorded.
        runs: timed runs of each model, in place of the recipe's.
        device: how devices among ``on`` are used; of the bundle's own recipe only threads and cores are taken, since
            the rest says what is run there.

    Raises:
        OutputError: the bundle is not what its manifest says, or is not signed with the key.
        ParityError: its two formats answer differently on this machine.
        DataError: the evaluation data does not fit, or a limit is on what is neither measured nor recorded.
        ModelError: the original cannot be run on the inputs of the bundle.
        RecipeError: a place is unknown, or what it needs is missing; a limit is no positive, finite number; or there
            is no such metric, or it fails.
    """
    places = find_places(on)
    bundle = _checked(folder, verify_key)
    named = read_recorded(bundle.manifest.recipe)
    judged = judging(named, by, limits, progress.warn, runs=evaluation is not None)
    _tell(missing_names(named), progress)
    measure, recipe = judged.measure, timed(judged.recipe, runs)
    asked = [name for name, limit in limits.items() if limit is not None]
    places = prepare(places, (device or Device()).with_cores_of(recipe.device))
    budgets = recipe.budgets
    for name in {bundle.artifact.name, ORT_ARTIFACT} & {*bundle.manifest.files}:
        require_survives(folder / name, f"{name!r} of bundle {str(folder)!r}", OutputError, "do not use it")
    # By its path: weights next to it are then those of the bundle, whose hashes were checked.
    session = open_session(bundle.artifact, threads_here(recipe.cpu.threads), arithmetic=arithmetic_of(recipe))
    inputs, outputs = read_golden(folder, session)
    golden = Batch(inputs=inputs, class_axis=recorded_class_axis(bundle), axes=recipe.export.batch_axes)
    parity = _self_test(session, inputs, outputs, progress)
    if ORT_ARTIFACT in bundle.manifest.files and not parity.lost():  # what was lost is named, whatever model.ort says
        check_same_bits(bundle.artifact, folder / ORT_ARTIFACT, inputs)
    batches = None if evaluation is None else evaluation_batches(bundle, evaluation, recipe, measure)
    if original is not None:
        first = [] if batches is None else [batches.first().inputs]
        check_original(original, [(inputs, outputs), *((batch, run_session(session, batch)) for batch in first)])
    quality = measure_quality(bundle, measure, batches, original, progress)
    _tell(doubtful_factors(budgets), progress)
    _tell(doubtful_loss(measure, LOSS, budgets.max_metric_drop, quality.before), progress)
    rows = [
        MeasuredRow(measure="size_mb", value=bundle.artifact.stat().st_size / 1e6, unit="MB", source=HERE),
        MeasuredRow(measure="self_test_db", value=parity.sqnr_db, unit="dB", source=HERE),
        *_latency(bundle, golden, original, recipe),
        *quality.rows,
        compression_row(bundle, original),
    ]
    lost = tuple(dict.fromkeys((*parity.lost(), *quality.lost)))
    timing = timing_of(golden, session, original, recipe)
    scoring = Scoring(measure=measure, floats=original)
    newer = _elsewhere(bundle, places, golden, batches, progress, scoring, timing)
    elsewhere = bundle.elsewhere.replaced_by(newer)
    rows = decided_by_devices(rows, elsewhere.latencies, HERE if newer.latencies else RECORDED)
    measured: dict[str, float | None] = {
        **{row.measure: row.value for row in rows},
        **quality.measured,
        **elsewhere.agreements,
        **elsewhere.placement,
        "lost_slices": len(lost),
    }
    counted = judged_in_the_record(rows, bundle) | dict.fromkeys(elsewhere.latencies, True)
    measured = _that_counts(measured, counted, recipe, asked)
    _require_measured(_asked(asked, budgets), measured)
    verdict = judge(
        elsewhere.strict(budgets),
        measured,
        {row.measure: row.interval for row in rows if row.interval is not None},
        metric_units(measure),
    )
    sources = {key: HERE if entries else RECORDED for key, entries in newer.groups.items()}
    if require_measured:
        verdict = verdict.complete_without(only_recorded(rows, sources, measured=batches is not None))
        tell_unmeasured(verdict, progress, left_open(verdict.checks, recipe))
    _tell(_of_another_cpu(verdict, rows, recipe, asked, original is not None), progress)
    return Revalidation(rows=tuple(rows), verdict=verdict, elsewhere=elsewhere, sources=sources, lost=lost)


def _tell(lines: Iterable[str], progress: Progress) -> None:
    for line in lines:
        progress.warn(line)


def _checked(folder: Path, verify_key: Path | None) -> Bundle:
    """A bundle whose signature, where a key is given, and bytes are right, and whose compiled files run here."""
    if verify_key is not None:
        verify_bundle(folder, load_verify_key(verify_key))
    bundle = read_bundle(folder)
    require_same_compiler(bundle)
    return bundle


ON_A_DEVICE = f"{HERE.removesuffix(' here')} on "
"""How the source of what a device measured begins."""


def _of_another_cpu(
    verdict: Verdict, rows: Sequence[MeasuredRow], recipe: Recipe, asked: Sequence[str], original: bool
) -> Iterator[str]:
    """What to say of latencies that are not of the target's CPU."""
    here = {row.measure for row in rows if row.source == HERE}
    on_a_device = {row.measure for row in rows if row.source.startswith(ON_A_DEVICE)}
    if found := left_open(verdict.checks, recipe):
        yield left_open_in_words(found, recipe.cpu.isa, timed=on_a_device, original=original)
    if told := decided_here(asked, here, recipe.cpu.isa):
        yield told


def _that_counts(
    measured: Mapping[str, float | None], counted: Mapping[str, bool], recipe: Recipe, asked: Sequence[str]
) -> dict[str, float | None]:
    """What budgets are held against: without what the record did not count either, unless it is asked for."""
    bounded = {MEASURES[name][0] for name in asked}
    known = {
        name: None if counted.get(name) is False and name not in bounded else value for name, value in measured.items()
    }
    return comparable(known, recipe, timed_there=[name for name, counts in counted.items() if counts], asked=asked)


def _asked(limits: Iterable[str], budgets: Budgets) -> list[str]:
    """The budgets that stand for the limits: points of accuracy may have become those of another metric."""
    return [name if getattr(budgets, name) is not None else "max_metric_drop" for name in limits]


def _require_measured(limits: Iterable[str], measured: Mapping[str, float | None]) -> None:
    """A gate that was asked for does not stand open because nothing was measured."""
    for budget in limits:
        name, _ = MEASURES[budget]
        if measured.get(name) is None:
            fix = UNMEASURED.get(name, "compress again")
            raise DataError(f"{budget!r} was asked for, and {name} is not measured; {fix}")


def _elsewhere(
    bundle: Bundle,
    places: Sequence[NamedPlace],
    golden: Batch,
    evaluation: Batches | None,
    progress: Progress,
    scoring: Scoring,
    timing: TimingTask,
) -> Elsewhere:
    """The outcome at every place, on the evaluation data or the golden inputs; what is compiled for it is not kept."""
    batches: Iterable[Batch] = [golden] if evaluation is None else evaluation
    samples = read_recorded(bundle.manifest.recipe).validation.samples
    content = bundle.artifact.read_bytes()
    results = compare_places(
        content, golden, batches, places, progress, samples=samples, scoring=scoring, timing=timing
    )
    return Elsewhere.of(replace(result, files={}) for result in results)


def read_golden(folder: Path, session: InferenceSession) -> tuple[dict[str, Array], list[Array]]:
    """The recorded inputs, by name, and outputs of the self-test, of the shapes and dtypes of the session.

    Raises:
        OutputError: ``selftest.npz`` cannot be read, or lacks some of them.
    """
    try:
        pack = read_npz(folder / "selftest.npz")
        inputs = {spec.name: pack[f"input_{spec.name}"] for spec in session.get_inputs()}
        return inputs, [pack[f"output_{index}"] for index in range(len(session.get_outputs()))]
    except KeyError as error:
        raise OutputError(f"bundle {str(folder)!r}: selftest.npz lacks {error}; compress again") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = first_line(error)
        raise OutputError(f"bundle {str(folder)!r}: selftest.npz is no npz: {reason}; compress again") from None


def _latency(bundle: Bundle, golden: Batch, original: Path | None, recipe: Recipe) -> list[MeasuredRow]:
    threads = threads_here(recipe.cpu.threads)
    session = open_session(bundle.artifact, threads, arithmetic="native")
    sample = (golden if session_rows(session, golden.axes) else golden.slice(0, 1)).inputs
    if original is None:
        times = interleave([functools.partial(run_session, session, sample)], recipe.cpu.runs)
        return [*_latency_rows(times[:, 0]), recorded_speedup(bundle)]
    models = [original, bundle.artifact]
    times = interleave_sessions(models, sample, runs=recipe.cpu.runs, threads=threads)
    ratio = ratio_of(times[:, 0], times[:, 1])
    interval = (ratio.low, ratio.high)
    return [
        *_latency_rows(times[:, 1]),
        MeasuredRow(measure="speedup", value=ratio.value, unit="x", source=HERE, interval=interval),
    ]


def _latency_rows(times_ms: NDArray[np.float64]) -> list[MeasuredRow]:
    found, intervals = summarize(times_ms), latency_intervals(times_ms)
    values = {"latency_ms": found.median_ms, "latency_p95_ms": found.p95_ms, "latency_p99_ms": found.p99_ms}
    return [
        MeasuredRow(measure=name, value=value, unit="ms", source=HERE, interval=intervals[name])
        for name, value in values.items()
    ]


def check_original(path: Path, samples: Iterable[tuple[Inputs, Sequence[Array]]]) -> None:
    """Refuse a file that is not the float model: it runs on the artifact's inputs, and has outputs of its shapes.

    Args:
        path: of an ONNX file.
        samples: inputs of the artifact by name, and what it answers to them.

    Raises:
        ModelError: it is not there, crashes, does not run on the inputs, or gives outputs of other shapes.
    """
    require_file(path)
    require_survives(path, repr(str(path)), ModelError, GIVE_ORIGINAL)
    for inputs, outputs in samples:
        wanted = [output.shape for output in outputs]
        try:
            found = [output.shape for output in run_session(open_session(path, threads=1), inputs)]
        except Exception as error:
            raise ModelError(
                f"{str(path)!r} does not run on the bundle's inputs: {first_line(error)}; {GIVE_ORIGINAL}"
            ) from error
        if found != wanted:
            raise ModelError(f"{str(path)!r} gives outputs of shapes {found}, the bundle {wanted}; {GIVE_ORIGINAL}")


def evaluation_batches(bundle: Bundle, evaluation: Data, recipe: Recipe, measure: Measure) -> Batches:
    """Evaluation data for the artifact of a bundle, with labels where its metric reads them.

    Raises:
        DataError: the data cannot be opened, or can be read only once.
    """
    model = ir.load(bundle.artifact)
    # Only classes have an accuracy; what was learned as numbers is judged by another metric, or only by agreement.
    labelled = recipe.training.task == "classification" or not measure.of_classes
    batches = open_batches(evaluation, "evaluation", model, recipe, measure)
    return replace(batches, use_labels=labelled, signature=signature(model))


def _self_test(session: InferenceSession, inputs: Inputs, outputs: Sequence[Array], progress: Progress) -> Agreement:
    """The agreement with the recorded outputs of the self-test; what was lost of them is told."""
    names = [spec.name for spec in session.get_outputs()]
    parity = Agreement.between(outputs, run_session(session, inputs), names=names)
    if lost := parity.lost():
        progress.warn(
            f"{listed(lost)} carries signal in the recorded outputs of the self-test, and is zero, a constant or noise"
            " here"
        )
    return parity
