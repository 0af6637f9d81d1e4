"""The steps that look at an artifact: converted for phones, measured, tried at other places."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from edgecompress.bundle.selftest_here import doubt_of_self_test
from edgecompress.calibration.likeness import doubts_of_likeness, levels_of
from edgecompress.data.batches import Batch, Batches
from edgecompress.diagnosis import Diagnosis, diagnose
from edgecompress.errors import plural
from edgecompress.exporters.finish import compact
from edgecompress.exporters.mobile import Mobile, make_mobile
from edgecompress.exporters.pixels import pixels_of
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import open_session, session_rows
from edgecompress.step import ArtifactStep, Conversion, Stage
from edgecompress.targets.cpus import FAMILIES, arithmetic_of, threads_here
from edgecompress.validation import (
    Elsewhere,
    Evidence,
    NamedPlace,
    PlaceResult,
    Verdict,
    asked_places,
    compare_places,
    gather,
    intervals,
    judge,
    measures,
    metric_units,
)
from edgecompress.validation.budgets import comparable
from edgecompress.validation.byte_file import BYTES_ARTIFACT, ByteFile, make_byte_file
from edgecompress.validation.doubtful_limits import LOSS, doubtful_loss
from edgecompress.validation.elsewhere.judged import Scoring
from edgecompress.validation.elsewhere.places import EMULATOR, by_runtime, handling_of, label_of, runtime_of
from edgecompress.validation.elsewhere.timed import TimingTask


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """The bytes of an artifact, and what it is tried on.

    Attributes:
        content: of the ONNX file.
        conversion: how it came about.
        recipe: what was asked.
        golden: the samples of the self-test.
        measured: the data that measures are taken on.
        calibration: the data that layers are looked at on.
        places: where it is run, besides this machine.
        progress: told of long work.
    """

    content: bytes
    conversion: Conversion
    recipe: Recipe
    golden: Batch
    measured: Batches
    calibration: Batches
    places: Sequence[NamedPlace]
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is known of an artifact so far; nothing at first."""

    mobile: Mobile | None = None
    byte_file: ByteFile | None = None
    evidence: Evidence | None = None
    diagnosis: Diagnosis | None = None
    elsewhere: tuple[PlaceResult, ...] = ()

    def verdict(self, recipe: Recipe) -> Verdict:
        """The budgets of the recipe next to what was measured, here and elsewhere."""
        assert self.evidence is not None
        elsewhere = Elsewhere.of(self.elsewhere)
        on_device = {name: figure.value for name, figure in elsewhere.latencies.items()}
        measured = {**measures(self.evidence), **on_device, **elsewhere.agreements, **elsewhere.placement}
        here = {name: ends for name, ends in intervals(self.evidence).items() if name not in on_device}
        units = metric_units(self.evidence.measure)
        told = comparable(measured, recipe, timed_there=on_device)
        return judge(elsewhere.strict(recipe.budgets), told, {**here, **elsewhere.intervals}, units)


def look_at(artifact: Artifact, steps: Sequence[ArtifactStep]) -> Findings:
    """Fold the steps over what is known of an artifact.

    Raises:
        EdgecompressError: the artifact cannot be converted, or the data does not fit it.
    """
    return reduce(lambda findings, step: step.run(findings, artifact), steps, Findings())


def artifact_steps(recipe: Recipe) -> Iterator[ArtifactStep]:
    """The steps that a recipe asks for, in order.

    Raises:
        RecipeError: a package that registers a runtime is broken.
    """
    if "ort" in recipe.export.formats:
        accelerators = "what CoreML and NNAPI could run on phones"
        yield ArtifactStep(name="convert", what=f"model.ort, the operators it needs, {accelerators}", run=_convert)
    if recipe.export.image_input == "uint8":
        what = f"{BYTES_ARTIFACT}, which takes the bytes of pictures, {recipe.export.image_layout.upper()}"
        yield ArtifactStep(name="bytes", what=what, run=_take_bytes)
    yield ArtifactStep(name="validate", what=_validation(recipe), run=_measure)
    for runtime, names in by_runtime(asked_places(recipe)):
        handling = handling_of(runtime)
        what = handling.what or f"the artifact on {', '.join(map(label_of, names))}"
        yield ArtifactStep(name=handling.step, what=what, run=functools.partial(_run_elsewhere, runtime))


def _validation(recipe: Recipe) -> str:
    cpu = recipe.cpu
    threads = threads_here(cpu.threads)
    timing = f"latency at {plural(threads, 'thread')}"
    if threads < cpu.threads:
        timing += f" (this machine has {plural(threads, 'core')}; cpu.threads is {cpu.threads})"
    emulated = EMULATOR in map(runtime_of, asked_places(recipe))
    stand_in = FAMILIES[cpu.isa].stand_in if cpu.isa is not None and not emulated else None
    untried = f'; cpu.emulate=["{stand_in}"] would try {cpu.isa}' if stand_in else ""
    return f"parity, accuracy, {timing}, size, budgets{untried}"


def _convert(findings: Findings, artifact: Artifact) -> Findings:
    with artifact.progress.step("converting to ORT format"):
        mobile = make_mobile(artifact.content, artifact.golden.inputs)
    if mobile.failure is not None:
        artifact.progress.warn(f"ONNX Runtime's mobile tools were left out: {mobile.failure}")
    return replace(findings, mobile=mobile)


def _take_bytes(findings: Findings, artifact: Artifact) -> Findings:
    recipe = artifact.recipe
    with artifact.progress.step("comparing pictures as bytes and as floats"):
        made = make_byte_file(artifact.content, pixels_of(recipe), artifact.measured, recipe.cpu, arithmetic_of(recipe))
    return replace(findings, byte_file=made)


def _measure(findings: Findings, artifact: Artifact) -> Findings:
    recipe, progress = artifact.recipe, artifact.progress
    *before, (last, _) = artifact.conversion.stages
    stages = [Stage(name=name, content=compact(model)) for name, model in before]
    ending, arithmetic = Stage(name=last, content=artifact.content), arithmetic_of(recipe)
    evidence = gather([*stages, ending], artifact.measured, recipe.cpu, progress, recipe.report.examples, arithmetic)
    doubts = doubtful_loss(evidence.measure, LOSS, getattr(recipe.budgets, LOSS), evidence.original_metric)
    evidence = replace(evidence, doubts=(*evidence.doubts, *doubts, *_of_likeness(artifact, evidence)))
    for doubt in evidence.doubts:
        progress.warn(doubt)
    with progress.step("diagnosing"):
        diagnosis = diagnose(artifact.conversion, artifact.content, artifact.calibration, recipe)
    if (fails_here := doubt_of_self_test(artifact.content, artifact.golden.inputs, arithmetic)) is not None:
        progress.warn(fails_here)
    return replace(findings, evidence=evidence, diagnosis=diagnosis)


def _of_likeness(artifact: Artifact, evidence: Evidence) -> tuple[str, ...]:
    """Doubts about inputs that the integers were not made for."""
    data = artifact.calibration
    judged_apart = (data.role, artifact.measured.role) == ("calibration", "evaluation")
    if not (artifact.recipe.quantization.enabled and judged_apart):
        return ()
    return doubts_of_likeness(levels_of(data), evidence.levels)


def _run_elsewhere(runtime: str, findings: Findings, artifact: Artifact) -> Findings:
    """Run the artifact at the places of a runtime."""
    places = [place for place in artifact.places if runtime_of(place.name) == runtime]
    # The axis of the classes comes from the data that measures are taken on, which have labels.
    golden = replace(artifact.golden, labels=None, class_axis=artifact.measured.class_axis)
    validation = artifact.recipe.validation
    floats = compact(artifact.conversion.stages[0][1])
    results = compare_places(
        artifact.content,
        golden,
        artifact.measured,
        places,
        artifact.progress,
        samples=validation.samples,
        scoring=Scoring(measure=artifact.measured.measure, floats=floats),
        timing=_timing(artifact, floats),
    )
    kept = [each if each.place == validation.device else replace(each, files={}) for each in results]
    return replace(findings, elsewhere=(*findings.elsewhere, *kept))


def _timing(artifact: Artifact, original: bytes) -> TimingTask:
    """What a place that measures does: it times the artifact in turn with the float model, as this machine did."""
    cpu, rows = artifact.recipe.cpu, session_rows(open_session(artifact.content, 1), artifact.golden.axes) or 1
    sample = artifact.golden.sample(rows).inputs
    return TimingTask(sample=sample, runs=cpu.runs, threads=cpu.threads, original=original)
