"""The pipeline: plan, convert, gather evidence, and write the bundle."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir
from torch import nn
from torch.export import ExportedProgram

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.outcome import NETWORK, Outcome, make_files, make_manifest
from edgecompress.bundle.reading import Bundle
from edgecompress.bundle.selftest_here import doubt_of_self_test
from edgecompress.bundle.signature import load_signing_key, signature_of
from edgecompress.calibration import Sharing, Workers
from edgecompress.data.batches import Batch
from edgecompress.data.splits import Streams
from edgecompress.diagnosis import diagnose
from edgecompress.errors import DataError, ModelError
from edgecompress.exporters.finish import compact, finish, require_valid
from edgecompress.exporters.mobile import Mobile, make_mobile
from edgecompress.loading.models import name_of
from edgecompress.loading.opened import open_together
from edgecompress.loading.sources import Data
from edgecompress.modules.checks import check_network, check_teacher
from edgecompress.modules.named_inputs import answering
from edgecompress.pipeline.fold import convert, sample_rows
from edgecompress.pipeline.plan import make_plan
from edgecompress.progress import Progress
from edgecompress.pruning.reload.pruned_file import pruned_file
from edgecompress.recipe.arguments import path
from edgecompress.recipe.tables import Budgets, Recipe
from edgecompress.report import report_files
from edgecompress.runtime import Network, signature
from edgecompress.step import Conversion, Plan, Stage
from edgecompress.targets import TargetProfile, given_profile
from edgecompress.targets.cpus import arithmetic_of
from edgecompress.techniques.checkpoints import checkpoints_of, remove_checkpoints
from edgecompress.validation import (
    BrowserResult,
    CpuResult,
    Evidence,
    Machine,
    Verdict,
    browser_agreement,
    compare_browser,
    compare_cpus,
    cpu_agreement,
    find_machines,
    gather,
    intervals,
    judge,
    measures,
    strict_in_browser,
    strict_where_emulated,
)

GOLDEN_ROWS = 4
"""Samples that the bundle's self-test runs."""
AGAIN = "edgecompress compress MODEL --target recipe.toml --calibration DATA"
"""How a run that was started in Python is repeated."""


def compress(
    model: nn.Module | ExportedProgram | ir.Model,
    *,
    target: str | Path | TargetProfile = "mobile",
    calibration: Data | None = None,
    evaluation: Data | None = None,
    train: Data | None = None,
    teacher: nn.Module | None = None,
    output: str | Path | None = None,
    statistics: str | Path | None = None,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
    workers: Workers | None = None,
    command: str = AGAIN,
    sign: str | Path | None = None,
) -> Bundle:
    """Compress a trained model for a target and write the bundle.

    Args:
        model: not modified. A module is captured in evaluation mode.
        target: name of a profile, path of a TOML file, or a profile.
        calibration: batches: an iterable that can be read twice, a callable that
            returns one, or what the command line takes for DATA. Labels are ignored.
        evaluation: the same, with labels (int class indices) for accuracy.
        train: the same, with labels, for techniques that train. A run that was killed goes on from its checkpoints,
            in ``<output>.checkpoints``, when it is started again with the same arguments.
        teacher: for techniques that train: whose outputs are learned, by default the model's own. Where the target
            distils, the model is its student, trained or not, and the teacher is the original that the bundle is
            compared with; without a teacher a smaller student is derived from the model.
        output: folder of the bundle; by default ``<model>-<target>`` in the current folder.
        statistics: file that keeps the statistics of the calibration as it runs. A run that was killed goes on
            from it, and one with another observer or scheme reads no activation again.
        overrides: a list of ``KEY=VALUE`` for keys of the target's recipe.
        overwrite: replace an existing output.
        progress: what is told of the progress; by default nobody.
        workers: the processes that share the calibration, of which this is the first; the others call
            :func:`assist`. By default this process alone.
        command: what started the run, for the report.
        sign: a private key of Ed25519 in a PEM file; the bundle gets a ``manifest.sig``.

    Returns:
        The bundle. A missed budget is no error, nor is one that a noisy machine leaves open: ``bundle.passed`` says
        so, and ``bundle.manifest.verdict`` which.

    Raises:
        RecipeError: unknown target, key or CPU, a goal that cannot be met, or no emulator.
        ModelError: the model cannot be run or captured.
        DataError: the data is missing or does not fit.
        OutputError: the output exists or cannot be written.
        ParityError: a step changed what the network computes.
    """
    progress = progress or Progress()
    model = check_network(model)
    teacher = None if teacher is None else check_teacher(teacher, model)
    key = load_signing_key(path("sign", sign)) if sign is not None else None
    profile = given_profile(target, overrides)
    kept = path("statistics", statistics) if statistics is not None else None
    plan = make_plan(model, profile, teacher)
    machines = find_machines(profile.recipe.cpu.emulate)
    folder = path("output", output) if output is not None else Path(f"{name_of(model)}-{profile.name}")
    with open_draft(folder, overwrite=overwrite) as draft:
        for warning in plan.warnings:
            progress.warn(warning)
        if train is not None and not profile.recipe.trains:
            progress.warn("the training data is not read: no technique of this recipe trains")
        if teacher is not None and not profile.recipe.trains:
            progress.warn("the teacher is not asked: no technique of this recipe trains")
        job = Job(
            model=model,
            teacher=teacher,
            profile=profile,
            data=_given(calibration=calibration, evaluation=evaluation, train=train),
            checkpoints=checkpoints_of(folder),
            sharing=Sharing(workers=workers or Workers(), file=kept),
        )
        outcome = _produce(job, plan, machines, progress, command)
        manifest = make_manifest(outcome)
        files = {**make_files(outcome), **report_files(outcome, manifest)}
        bundle = draft.finish(files, manifest, None if key is None else functools.partial(signature_of, key=key))
    if profile.recipe.trains:
        remove_checkpoints(checkpoints_of(folder))
    return bundle


def assist(
    model: Network,
    *,
    target: TargetProfile,
    calibration: Data | None,
    evaluation: Data | None,
    train: Data | None,
    workers: Workers,
    teacher: nn.Module | None = None,
    statistics: Path | None = None,
    checkpoints: Path | None = None,
) -> None:
    """The part of every worker but the first in :func:`compress`: the same road, as far as it uses calibration data.

    Args:
        model: the same as the first worker's, as are all other arguments.
        target: its profile.
        calibration: its data, of which this worker runs its share of the batches.
        evaluation: its evaluation data, which this worker reads its share of where training looks at it.
        train: its training data, of each batch of which this worker takes its share.
        workers: this process among all.
        teacher: whose outputs are learned.
        statistics: file that keeps the statistics; this worker writes its part beside it.
        checkpoints: folder of the first worker's checkpoints.

    Raises:
        EdgecompressError: as :func:`compress` does, or another worker failed.
    """
    data = _given(calibration=calibration, evaluation=evaluation, train=train)
    if data:
        sharing = Sharing(workers=workers, file=statistics)
        network = check_network(model)
        job = Job(model=network, teacher=teacher, profile=target, data=data, checkpoints=checkpoints, sharing=sharing)
        _convert(job, Progress())


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run is given; all of its processes are given the same."""

    model: Network
    teacher: nn.Module | None
    profile: TargetProfile
    data: Mapping[str, Data]
    checkpoints: Path | None
    sharing: Sharing


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A model after the road, its inputs by name, with the data for them, and the recipe that says how they are cut."""

    network: Network
    recipe: Recipe
    streams: Streams
    example: Batch
    conversion: Conversion


def _given(**data: Data | None) -> dict[str, Data]:
    """The data that are there, by role."""
    return {role: one for role, one in data.items() if one is not None}


def _convert(job: Job, progress: Progress) -> Converted:
    """Give the inputs names, open the data, and carry out the plan."""
    opened = open_together(job.model, job.data, job.profile.recipe, progress.warn)
    network, recipe = opened.network, opened.recipe
    teacher = None if job.teacher is None else answering(job.teacher, network, opened.source)
    streams, example = Streams(**opened.batches), opened.first()
    conversion = convert(network, recipe, example, streams, progress, job.sharing, job.checkpoints, teacher)
    return Converted(network=network, recipe=recipe, streams=streams, example=example, conversion=conversion)


def _produce(job: Job, plan: Plan, machines: Sequence[Machine], progress: Progress, command: str) -> Outcome:
    """Run the plan; what comes out is all that the bundle tells of."""
    if not job.data:
        raise DataError("data is needed to capture the model; give calibration (--calibration) or evaluation")
    if isinstance(job.model, ir.Model):
        require_valid(job.model)
    converted = _convert(job, progress)
    conversion, recipe = converted.conversion, converted.recipe
    streams = converted.streams.with_class_axis(conversion.class_axis)
    artifact = finish(conversion.artifact, _named(converted))
    golden = converted.example.sample(sample_rows(converted.network, recipe) or GOLDEN_ROWS)
    mobile = _mobile(artifact, golden, progress) if "ort" in recipe.export.formats else None
    measured_on = streams.measured or streams.calibration or streams.train
    assert measured_on is not None
    fitted = replace(measured_on, signature=signature(conversion.artifact))
    *before, (last, _) = conversion.stages
    stages = [Stage(name=name, content=compact(model)) for name, model in before]
    ending = Stage(name=last, content=artifact)
    evidence = gather([*stages, ending], fitted, recipe.cpu, progress, recipe.report.examples, arithmetic_of(recipe))
    for doubt in evidence.doubts:
        progress.warn(doubt)
    with progress.step("diagnose"):
        diagnosis = diagnose(
            conversion, artifact, replace(streams.calibration or measured_on, signature=fitted.signature), recipe
        )
    if (fails_here := doubt_of_self_test(artifact, golden.inputs, arithmetic_of(recipe))) is not None:
        progress.warn(fails_here)
    cpus = compare_cpus(artifact, fitted, machines, progress)
    browser: BrowserResult | None = None
    if recipe.export.browser:
        browser = compare_browser(artifact, golden, progress, class_axis=evidence.class_axis)
    return Outcome(
        artifact=artifact,
        plan=plan,
        profile=replace(job.profile, recipe=recipe),
        done=conversion.done,
        evidence=evidence,
        diagnosis=diagnosis,
        verdict=_verdict(recipe.budgets, evidence, cpus, browser),
        golden=golden,
        command=command,
        cpus=cpus,
        mobile=mobile,
        browser=browser,
        network=_network_file(job.model, converted, progress),
    )


def _network_file(model: Network, converted: Converted, progress: Progress) -> bytes | None:
    """The file of the network that the techniques left, in the user's own class; None where no technique ran."""
    made = [step.result.model for step in converted.conversion.done if isinstance(step.result.model, nn.Module)]
    if not made:
        return None
    try:
        return pruned_file(made[-1] if converted.network is model else made[-1].get_submodule("module"))
    except ModelError as error:
        progress.warn(f"the bundle holds no {NETWORK}: {error}")
        return None


def _verdict(budgets: Budgets, evidence: Evidence, cpus: Sequence[CpuResult], browser: BrowserResult | None) -> Verdict:
    """The budgets beside what was measured, here and elsewhere."""
    entries, seen = [result.entry for result in cpus], browser.entry if browser is not None else {}
    elsewhere = {"cpu_agreement": cpu_agreement(entries), "browser_agreement": browser_agreement(seen)}
    strict = strict_in_browser(strict_where_emulated(budgets, entries), seen)
    return judge(strict, {**measures(evidence), **elsewhere}, intervals(evidence))


def _named(converted: Converted) -> ir.Model:
    """The first ONNX model on the road: the user's own, or what was exported, with the names that the user gave."""
    if isinstance(converted.network, ir.Model):
        return converted.network
    models = (step.result.model for step in converted.conversion.done)
    return next(model for model in models if isinstance(model, ir.Model))


def _mobile(artifact: bytes, golden: Batch, progress: Progress) -> Mobile:
    with progress.step("convert to ORT format"):
        mobile = make_mobile(artifact, golden.inputs)
    if mobile.failure is not None:
        progress.warn(f"ONNX Runtime's mobile tools were left out: {mobile.failure}")
    return mobile
