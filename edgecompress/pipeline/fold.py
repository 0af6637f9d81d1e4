"""Conversion: a network becomes an artifact by a fold of steps, each checked before the next runs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir
from torch import nn
from torch.export import ExportedProgram

from edgecompress.axes.classes import settle_streams
from edgecompress.calibration import Sharing
from edgecompress.calibration.variety import doubts_of_calibration
from edgecompress.data.batches import Array, Batch, Batches, Inputs
from edgecompress.data.splits import Streams
from edgecompress.errors import USER_CODE_FAILS, DataError, ModelError, ParityError, first_line
from edgecompress.exporters.canonicalize import canonicalize, prepare_for_integers
from edgecompress.exporters.onnx import to_onnx
from edgecompress.exporters.simplify import simplify
from edgecompress.metrics.accuracy import require_class_axis, top1
from edgecompress.metrics.agreement import Agreement, listed
from edgecompress.modules.capture import capture, check_runs
from edgecompress.modules.plain import plain_copy
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, execute, network_rows, output_names, signature, to_bytes
from edgecompress.step import Conversion, Done, Step, StepResult
from edgecompress.system.isolation import require_bytes_survive
from edgecompress.targets.cpus import arithmetic_of
from edgecompress.techniques.context import Context
from edgecompress.techniques.steps.distillation import distill
from edgecompress.techniques.steps.low_rank import factorize_layers
from edgecompress.techniques.steps.pruning import prune_channels
from edgecompress.validation.acceptance import accuracy_test, has_limit

TECHNIQUES: Mapping[str, tuple[str, Callable[..., StepResult[nn.Module]]]] = {
    "pruning": ("prune", prune_channels),
    "low_rank": ("factorize", factorize_layers),
    "distillation": ("distill", distill),
}
"""The techniques that change a network: the name of the step, and what carries it out."""
PROBE_ROWS = 8
"""Samples on which every step is compared with the original."""
GARBAGE_DB = 1.0
"""Agreement below which an INT8 model answers no better than one that always answers zero, whose agreement is 0 dB."""


def convert(
    network: Network,
    recipe: Recipe,
    example: Batch,
    streams: Streams,
    progress: Progress,
    sharing: Sharing | None = None,
    checkpoints: Path | None = None,
    teacher: nn.Module | None = None,
) -> Conversion:
    """Take a network through the techniques of a recipe and to ONNX, and to INT8 where it asks for that.

    Args:
        network: not modified; a module is taken in evaluation mode.
        recipe: what is asked.
        example: a batch for the capture, and for the comparison of every step with the original.
        streams: data to calibrate on, needed for quantization; to train on, where a technique trains; and to
            measure accuracy on.
        progress: told of every step.
        sharing: the workers and the file of the calibration; by default this process alone, and none.
        checkpoints: folder that training goes on from after a run was killed.
        teacher: whose outputs are learned, by default the network's own. Where the recipe distils, the network is
            its student, and the teacher is the original that all is held against.

    Raises:
        ModelError: the network cannot be run or captured.
        DataError: data that the recipe needs is missing, or does not fit.
        ParityError: a step changed what the network computes.
    """
    _check_data(recipe, streams)
    if isinstance(network, nn.Module):
        network = plain_copy(network).model.eval()
    check_runs(network, example)
    if isinstance(network, nn.Module):
        _check_first_batches(network, streams.measured, streams.train if recipe.trains else None)
    streams = _settled(network, recipe, example, streams, progress)
    probe = example.sample(sample_rows(network, recipe) or PROBE_ROWS).inputs
    original: ir.Model | None = None
    changed: tuple[Done, ...] = ()
    if steps := [name for name in recipe.techniques if name in TECHNIQUES]:
        assert isinstance(network, nn.Module)  # the plan refuses what is none
        teaches = network if teacher is None else plain_copy(teacher).model.eval()
        if teacher is not None:
            _check_alike(teaches, network, probe)
        base = teaches if "distillation" in recipe.techniques else network
        original = _as_onnx(base, example, recipe)
        fitted = streams.fitted(signature(original))
        if fitted.evaluation is not None:
            fitted.evaluation.first()  # its size is known to differ here, and not after an hour of training
        context = Context(
            original=network,
            teacher=teaches,
            recipe=recipe,
            example=example,
            streams=fitted,
            checkpoints=checkpoints,
            progress=progress,
        )
        changed = run_steps(base, network, [_technique(name, context) for name in steps], probe, progress)
        network = changed[-1].result.model
    quantize = functools.partial(_quantize, recipe, original, streams, progress, sharing)
    # From here on nothing but the integers may change what is computed: each step is held against the changed network.
    done = run_steps(network, network, _steps(network, recipe, example, quantize), probe, progress)
    if original is None:
        original = network if isinstance(network, ir.Model) else _after("export", done)
    between = [(step.name, _as_onnx(step.result.model, example, recipe)) for step in changed[:-1]]
    last = [(step.name, _after("export", done)) for step in changed[-1:]]
    graphs = [(step.name, step.result.model) for step in done if step.name in ("canonicalize", "quantize")]
    return Conversion(
        original=original,
        done=(*changed, *done),
        stages=(("original", original), *between, *last, *graphs),
        class_axis=streams.class_axis,
    )


def _after(name: str, done: Sequence[Done]) -> ir.Model:
    """The model that a step of that name left."""
    model = next(step.result.model for step in done if step.name == name)
    assert isinstance(model, ir.Model)
    return model


def _as_onnx(module: nn.Module, example: Batch, recipe: Recipe) -> ir.Model:
    return to_onnx(capture(module, example, recipe.export), recipe.export)


def float_original(network: Network, recipe: Recipe, example: Batch) -> ir.Model:
    """The float ONNX model that an artifact is compared with: as it is exported, or as the user gave it.

    Raises:
        ModelError: the network cannot be run or captured.
    """
    plain = Recipe(export=recipe.export, images=recipe.images)
    return convert(network, plain, example, Streams(), Progress()).original


def _check_data(recipe: Recipe, streams: Streams) -> None:
    if "quantization" in recipe.techniques and streams.calibration is None:
        raise DataError("static quantization needs calibration data; give calibration (--calibration)")
    if "distillation" in recipe.techniques and streams.train is None:
        raise DataError("distillation needs training data; give train (--train)")


def _check_first_batches(network: nn.Module, measured: Batches | None, train: Batches | None) -> None:
    """Find what does not fit before anything that takes long: inputs, and labels to measure on that are no classes."""
    for batches in filter(None, (measured, train)):
        batch, where = batches.first(), f"{batches.role} batch 0"
        try:
            outputs = execute(network, batch.inputs)
        except USER_CODE_FAILS as error:
            raise DataError(
                f"{where} does not fit the model: {first_line(error)}; give inputs as its forward takes them"
            ) from error
        if batches is measured and batch.labels is not None:
            top1(outputs[0], batch.labels, where, batch.class_axis)


def _settled(network: Network, recipe: Recipe, example: Batch, streams: Streams, progress: Progress) -> Streams:
    """The data, with the axis of the scores that their labels lack."""
    asked = recipe.evaluation.class_axis
    if asked is not None:
        require_class_axis(asked, execute(network, example.inputs)[0].shape)
    read = streams if recipe.trains else replace(streams, train=None)
    return streams.with_class_axis(settle_streams(network, read, asked, progress).class_axis)


def _check_alike(teacher: nn.Module, student: nn.Module, probe: Inputs) -> None:
    """What a student learns, and is held against, are outputs of the same shapes."""
    try:
        taught = [array.shape for array in execute(teacher, probe)]
    except USER_CODE_FAILS as error:
        raise ModelError(
            f"the teacher cannot run on the first batch: {first_line(error)}; give one that takes the model's inputs"
        ) from error
    own = [array.shape for array in execute(student, probe)]
    if taught != own:
        shapes = (" and ".join(str(tuple(shape)) for shape in found) for found in (own, taught))
        raise ModelError("the model gives {}, its teacher {}; give a teacher with the same outputs".format(*shapes))


def _technique(name: str, context: Context) -> Step:
    step, run = TECHNIQUES[name]
    return Step(name=step, run=functools.partial(run, context=context))


def sample_rows(network: Network, recipe: Recipe) -> int | None:
    """The number of samples that the recipe or the network fixes; None where it is free."""
    return recipe.export.batch_size or network_rows(network, recipe.export.batch_axes)


def run_steps(
    reference: Network, network: Network, steps: Sequence[Step], probe: Inputs, progress: Progress
) -> tuple[Done, ...]:
    """Fold the steps over a network.

    Raises:
        ParityError: the first step whose outputs on ``probe`` diverge from the reference's.
    """
    expected = execute(reference, probe)
    done: list[Done] = []
    for step in steps:
        start = time.perf_counter()
        with progress.step(step.name):
            result = step.run(network)
        for warning in result.warnings:
            progress.warn(warning)
        agreement = _agreement(step, expected, result.model, probe)
        seconds, lossless = time.perf_counter() - start, step.lossless and step.min_sqnr_db is not None
        done.append(Done(name=step.name, result=result, agreement=agreement, seconds=seconds, lossless=lossless))
        network = result.model
    return tuple(done)


def _agreement(step: Step, expected: Sequence[Array], network: Network, probe: Inputs) -> Agreement:
    """How well what a step made follows what was expected, if well enough."""
    try:
        outputs = execute(network, probe)
    except Exception as error:
        raise ParityError(f"step {step.name!r} made a model that cannot run: {first_line(error)}") from error
    shapes, wanted = ([array.shape for array in arrays] for arrays in (outputs, expected))
    if step.min_sqnr_db is not None and shapes != wanted:
        raise ParityError(f"step {step.name!r} changed the outputs: their shapes are {shapes}, and were {wanted}")
    agreement = Agreement.between(expected, outputs, names=output_names(network))
    if step.min_sqnr_db is not None:
        _require_alike(step, agreement, step.min_sqnr_db)
    return agreement


def _require_alike(step: Step, agreement: Agreement, floor_db: float) -> None:
    """Refuse what agrees less than the floor as a whole, and slices of outputs that were lost beneath it."""
    told, mend = f"step {step.name!r} changed what the model computes:", ""
    if not step.lossless:
        mend = "; see which layers suffer (inspect --sensitivity), and name them in quantization.keep_float"
    if agreement.sqnr_db < floor_db:
        told = f"{told} {agreement.sqnr_db:.1f} dB agreement with the"
        if step.lossless:
            raise ParityError(f"{told} original, {floor_db:g} dB wanted (export.min_sqnr_db)")
        raise ParityError(f"{told} float model, under {floor_db:g} dB it is another one{mend}")
    if lost := agreement.lost():
        raise ParityError(
            f"{told} {listed(lost)} carries signal before it, and zeros, a constant or noise after it{mend}"
        )


def _steps(
    network: Network, recipe: Recipe, example: Batch, quantize: Callable[[ir.Model], StepResult[ir.Model]]
) -> list[Step]:
    """The steps of the plan as functions, in the plan's order."""
    floor = recipe.export.min_sqnr_db
    steps: list[Step] = []
    if isinstance(network, nn.Module):
        steps.append(Step(name="capture", run=functools.partial(_capture, example, recipe), min_sqnr_db=floor))
    if not isinstance(network, ir.Model):
        steps.append(Step(name="export", run=functools.partial(_export, recipe), min_sqnr_db=floor))
    if recipe.export.simplify:
        steps.append(Step(name="simplify", run=simplify, min_sqnr_db=floor))
    forms = prepare_for_integers if "quantization" in recipe.techniques else canonicalize
    steps.append(Step(name="canonicalize", run=forms, min_sqnr_db=floor))
    if "quantization" in recipe.techniques:
        steps.append(Step(name="quantize", run=quantize, min_sqnr_db=GARBAGE_DB, lossless=False))
    return steps


def _capture(example: Batch, recipe: Recipe, module: nn.Module) -> StepResult[ExportedProgram]:
    return StepResult(model=capture(module, example, recipe.export))


def _export(recipe: Recipe, program: ExportedProgram) -> StepResult[ir.Model]:
    model = to_onnx(program, recipe.export)
    require_bytes_survive(to_bytes(model), "the exported model", ModelError, "write it in other operators")
    return StepResult(model=model)


def _quantize(
    recipe: Recipe,
    original: ir.Model | None,
    streams: Streams,
    progress: Progress,
    sharing: Sharing | None,
    model: ir.Model,
) -> StepResult[ir.Model]:
    fitted = streams.fitted(signature(model))
    assert fitted.calibration is not None
    accept, evaluation = None, fitted.measured
    if recipe.quantization.fallback_evaluations and evaluation is not None and has_limit(recipe.budgets, evaluation):
        accept = accuracy_test(original or model, recipe.budgets, evaluation, progress, arithmetic_of(recipe))
    result = quantize_static(model, recipe.quantization, fitted.calibration, progress, sharing, accept)
    samples = int(result.metrics["calibration_samples"])
    doubts = doubts_of_calibration(fitted.calibration, samples, judged_apart=evaluation is not None)
    return replace(result, warnings=(*doubts, *result.warnings))
