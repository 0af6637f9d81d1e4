"""The pipeline: plan, convert, look at the artifact, and write the bundle."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import onnx_ir as ir
from torch import nn

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.outcome import NETWORK, Outcome, make_files, make_manifest
from edgecompress.bundle.reading import Bundle
from edgecompress.bundle.signature import signature_of
from edgecompress.calibration import Workers
from edgecompress.calibration.likeness import AT_FIRST, doubts_of_likeness, levels_of
from edgecompress.data.batches import Batch, Batches
from edgecompress.data.splits import Streams
from edgecompress.errors import DataError, ModelError
from edgecompress.exporters.finish import finish, require_valid
from edgecompress.exporters.model_metadata import model_metadata
from edgecompress.exporters.pixels import pixels_of
from edgecompress.loading.losses import LossOrName
from edgecompress.loading.metrics import MeasuredBy, MetricOrName, PostprocessOrName
from edgecompress.loading.models import given_model, load_teacher, name_of
from edgecompress.loading.opened import Opened, open_together
from edgecompress.loading.sources import Data
from edgecompress.metrics.targets import is_numbers
from edgecompress.modules.named_inputs import answering
from edgecompress.pipeline.again import command_again
from edgecompress.pipeline.findings import Artifact, look_at
from edgecompress.pipeline.fixed_shapes import require_fixed_shapes
from edgecompress.pipeline.fold import convert
from edgecompress.pipeline.foresight import foreseen
from edgecompress.pipeline.plan import make_plan
from edgecompress.pipeline.prepare import sample_rows
from edgecompress.pipeline.request import Request, make_request
from edgecompress.progress import Progress
from edgecompress.pruning.reload.pruned_file import pruned_file
from edgecompress.recipe.arguments import Overrides
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.wording import in_python_words
from edgecompress.report import report_files
from edgecompress.runtime import Network, signature
from edgecompress.step import Conversion, Plan, Step, first_graph
from edgecompress.targets import TargetProfile
from edgecompress.techniques.checkpoints import remove_checkpoints
from edgecompress.techniques.context import Context
from edgecompress.techniques.student import derives_student
from edgecompress.training.losses import BY_TASK
from edgecompress.validation import NamedPlace, places_of
from edgecompress.validation.byte_file import check_bytes
from edgecompress.validation.doubts import unlabelled
from edgecompress.validation.elsewhere.device.clock import clock_of

GOLDEN_ROWS = 4
"""Samples that the bundle's self-test runs."""


@in_python_words
def compress(
    model: Network | str | os.PathLike[str],
    target: str | Path | TargetProfile | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    recipe: Recipe | None = None,
    calibration: Data | None = None,
    evaluation: Data | None = None,
    train: Data | None = None,
    teacher: nn.Module | str | None = None,
    output: str | Path | None = None,
    statistics: str | Path | None = None,
    overrides: Overrides = (),
    overwrite: bool = False,
    progress: Progress | None = None,
    workers: Workers | None = None,
    command: str | None = None,
    sign: str | Path | None = None,
    metric: MetricOrName | None = None,
    postprocess: PostprocessOrName | None = None,
    loss: LossOrName | None = None,
) -> Bundle:
    """Compress a trained model for a target and write the bundle.

    Args:
        model: not modified. A module is captured in evaluation mode. A text or a path is what the command line takes
            for MODEL: ``file.py:callable``, ``module:callable``, an ONNX file, ``hf:NAME`` or ``timm:NAME``.
        target: name of a profile, path of a TOML file, or a profile; by default ``mobile``.
        weights: of a module that is given by its name: a file of safetensors, or of a state dict.
        recipe: what is asked for, in place of a target; the bundle's target is then called ``custom``.
        calibration: batches: an iterable that can be read twice, a callable that
            returns one, or what the command line takes for DATA. Labels are ignored.
        evaluation: the same, with labels: int class indices for accuracy, whatever the metric takes for another one.
        train: the same, with labels, for techniques that train. A run that was killed goes on from its checkpoints,
            in ``<output>.checkpoints``, when it is started again with the same arguments.
        teacher: for techniques that train: whose outputs are learned, by default the model's own. Where the target
            distils, the model is its student, trained or not, and the teacher is the original that the bundle is
            compared with; without a teacher a smaller student is derived from the model.
        output: folder of the bundle; by default ``<model>-<target>`` in the current folder.
        statistics: file that keeps the statistics of the calibration as it runs. A run that was killed goes on
            from it, and one with another observer or scheme reads no activation again.
        overrides: for keys of the target's recipe: ``KEY=VALUE`` in a list, or values by key in a dict.
        overwrite: replace an existing output.
        progress: what is told of the progress; by default nobody.
        workers: the processes that share the calibration; this is the first of them, and the others call
            :func:`assist`. By default only this process.
        command: what started the run, for the report; by default the command that makes the bundle again, with the
            names of what was given by name.
        sign: a private key of Ed25519 in a PEM file; the bundle gets a ``manifest.sig``.
        metric: what decides how good the artifact is, in place of ``evaluation.metric`` of the recipe: a name,
            ``file.py:callable``, an object with ``update(outputs, targets)``, ``compute()`` and ``reset()``, such as
            one of torchmetrics, or a function ``(outputs, targets) -> float`` that is averaged by samples.
        postprocess: what the outputs become before the metric sees them, in place of ``evaluation.postprocess``: a
            function of the outputs, NumPy arrays, or ``file.py:callable``.
        loss: what training minimizes, in place of ``training.loss``: a name, ``file.py:callable``, or a function
            ``(outputs, targets) -> scalar tensor``, an object that is called so, or its class. Outputs are what the
            model's ``forward`` returns, targets what ``train`` gives.

    Returns:
        The bundle. A missed budget is no error, nor is one that a noisy machine leaves open: ``bundle.passed`` says
        so, and ``bundle.manifest.verdict`` which.

    Raises:
        RecipeError: unknown target, key, metric, CPU or runtime, a goal that cannot be met, a metric that fails, or no
            emulator.
        ModelError: the model cannot be run or captured.
        DataError: the data is missing or does not fit.
        OutputError: the output exists or cannot be written.
        ParityError: a step changed what the network computes.
    """
    told = progress or Progress()
    data = {"calibration": calibration, "evaluation": evaluation, "train": train}
    by = MeasuredBy(metric=metric, postprocess=postprocess, loss=loss)
    request = make_request(
        given_model(model, weights, told),
        target=target,
        recipe=recipe,
        data=data,
        teacher=load_teacher(teacher, None, told) if isinstance(teacher, str) else teacher,
        output=output,
        statistics=statistics,
        overrides=overrides,
        overwrite=overwrite,
        workers=workers,
        command=command or command_again(model, data, weights=weights, teacher=teacher, by=by),
        name=name_of(str(model)) if isinstance(model, (str, os.PathLike)) else None,
        sign=sign,
        by=by,
    )
    return carry_out(request, plan_of(request), told)


def plan_of(request: Request) -> Plan:
    """The plan of a request.

    Raises:
        ModelError: the target's recipe does not fit the model.
        RecipeError: a student would be derived, and there is no latency budget; or the package of a technique
            or a runtime is broken.
    """
    plan = make_plan(request.model, request.profile, request.teacher)
    recipe, roles = request.profile.recipe, request.data.keys()
    told = foreseen(recipe, roles, taught=request.teacher is not None, asked=request.profile.asked)
    return replace(plan, warnings=(*plan.warnings, *told))


def carry_out(
    request: Request, plan: Plan, progress: Progress, show: Callable[[Plan], None] = lambda _: None
) -> Bundle:
    """Carry out the plan of a request, and write the bundle; the errors are those of :func:`compress`.

    Args:
        request: what is asked for.
        plan: of that.
        progress: told of every step, and of what the plan warns of.
        show: given the plan when the data are known to fit the model, before the first step: nobody reads the plan of a
            run that cannot begin.
    """
    recipe = request.profile.recipe
    places = places_of(recipe)
    require_fixed_shapes(request.model, recipe)
    with open_draft(request.output, overwrite=request.overwrite) as draft:
        outcome = _produce(request, plan, places, progress, show)
        manifest = make_manifest(outcome)
        files = {**make_files(outcome), **report_files(outcome, manifest)}
        sign = None if request.key is None else functools.partial(signature_of, key=request.key)
        bundle = draft.finish(files, manifest, sign)
    if recipe.trains:
        remove_checkpoints(request.checkpoints)
    return bundle


def assist(request: Request) -> None:
    """The part of every worker but the first in :func:`compress`: the conversion, as far as it uses the data.

    Args:
        request: that of the first worker, with this worker's own place among them. This worker takes its share of
            each batch, and writes its part of the statistics next to the first worker's.

    Raises:
        EdgecompressError: as :func:`compress` does, or another worker failed.
    """
    if request.data:
        _convert(request, plan_of(request).conversion, Progress())


@dataclass(frozen=True, kw_only=True)
class Converted:
    """An opened model and its data, the batch that it was captured on, and what became of it."""

    opened: Opened
    example: Batch
    conversion: Conversion

    @property
    def named(self) -> ir.Model:
        """The first ONNX model: the user's own, or what was exported, with the names that the user gave."""
        network = self.opened.network
        return network if isinstance(network, ir.Model) else first_graph(self.conversion.done)


def _convert(
    request: Request,
    steps: Sequence[Step],
    progress: Progress,
    places: Sequence[NamedPlace] = (),
    begin: Callable[[], None] = lambda: None,
) -> Converted:
    """Give the inputs names, open the data, and fold the steps."""
    profile, by = request.profile, request.by
    opened = open_together(request.model, request.data, profile.recipe, progress.warn, by, asked=profile.asked)
    teacher = None if request.teacher is None else answering(request.teacher, opened.network, opened.source)
    example, evaluation = opened.first(), opened.batches.get("evaluation")
    if opened.recipe.export.image_input == "uint8":
        check_bytes(pixels_of(opened.recipe), example.inputs)
    if evaluation is not None and evaluation.first().labels is None:
        progress.warn(unlabelled(evaluation.measure))
    for doubt in _unlike(opened):
        progress.warn(doubt)
    context = Context(
        recipe=opened.recipe,
        example=example,
        streams=Streams(**opened.batches),
        teacher=teacher,
        checkpoints=request.checkpoints,
        sharing=request.sharing,
        progress=progress,
        loss=request.by.loss,
        clock=clock_of(places, opened.recipe, progress, derives=derives_student(opened.recipe, teacher)),
        kept=request.kept if teacher is None else None,  # a teacher is in no key
    )
    return Converted(opened=opened, example=example, conversion=convert(opened.network, context, steps, begin))


def _unlike(opened: Opened) -> tuple[str, ...]:
    """What tells calibration from evaluation data by their first samples, where integers are fitted to the former."""
    calibration, evaluation = opened.batches.get("calibration"), opened.batches.get("evaluation")
    if calibration is None or evaluation is None or not opened.recipe.quantization.enabled:
        return ()
    return doubts_of_likeness(levels_of(calibration, AT_FIRST), levels_of(evaluation, AT_FIRST))


def _produce(
    request: Request, plan: Plan, places: Sequence[NamedPlace], progress: Progress, show: Callable[[Plan], None]
) -> Outcome:
    """Run the plan; what comes out is all that the bundle tells of."""

    def begin() -> None:
        show(plan)
        for warning in plan.warnings:
            progress.warn(warning)

    if not request.data:
        raise DataError(
            "there is no data to capture the model with; give calibration (--calibration): file.py:callable that"
            " returns batches, an .npy or .npz file, or a folder of pictures"
        )
    if isinstance(request.model, ir.Model):
        require_valid(request.model)
    converted = _convert(request, plan.conversion, progress, places, begin)
    artifact = _artifact(converted, places, progress)
    findings = look_at(artifact, plan.artifact_steps)
    assert findings.evidence is not None
    assert findings.diagnosis is not None
    return Outcome(
        artifact=artifact.content,
        plan=plan,
        profile=replace(request.profile, recipe=artifact.recipe),
        done=artifact.conversion.done,
        evidence=findings.evidence,
        diagnosis=findings.diagnosis,
        verdict=findings.verdict(artifact.recipe),
        golden=artifact.golden,
        command=request.command,
        model=request.name,
        made_on=datetime.now(UTC).date(),
        elsewhere=findings.elsewhere,
        mobile=findings.mobile,
        byte_file=findings.byte_file,
        network=_network_file(request.model, converted, progress),
    )


def _artifact(converted: Converted, places: Sequence[NamedPlace], progress: Progress) -> Artifact:
    """The file that ships, with the data that it is looked at on."""
    opened, conversion = converted.opened, converted.conversion
    streams = Streams(**opened.batches).with_class_axis(conversion.class_axis)
    measured = streams.measured or streams.calibration or _trained_on(streams, opened.recipe)
    inputs = signature(conversion.artifact)
    golden = converted.example.sample(sample_rows(opened.network, opened.recipe) or GOLDEN_ROWS)
    metadata = model_metadata(opened.recipe, golden.inputs)
    return Artifact(
        content=finish(conversion.artifact, converted.named, metadata),
        conversion=conversion,
        recipe=opened.recipe,
        golden=golden,
        measured=replace(measured, signature=inputs),
        calibration=replace(streams.calibration or measured, signature=inputs),
        places=places,
        progress=progress,
    )


def _trained_on(streams: Streams, recipe: Recipe) -> Batches:
    """The training data, where there are no others; labels that need not be classes are those of its loss only."""
    assert streams.train is not None
    train, training = streams.train, recipe.training
    measurable = training.loss in (None, BY_TASK["classification"]) and is_numbers(train.first().labels)
    ignored = training.ignore_index if train.measure.of_classes else None
    return replace(train, use_labels=train.use_labels and measurable, ignore_index=ignored)


def _network_file(model: Network, converted: Converted, progress: Progress) -> bytes | None:
    """The file of the network that the techniques left, in the user's own class; None where no technique ran."""
    made = [step.result.model for step in converted.conversion.done if isinstance(step.result.model, nn.Module)]
    if not made:
        return None
    try:
        return pruned_file(made[-1] if converted.opened.network is model else made[-1].get_submodule("module"))
    except ModelError as error:
        progress.warn(f"the bundle holds no {NETWORK}: {error}")
        return None
