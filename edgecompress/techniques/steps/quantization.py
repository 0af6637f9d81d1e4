"""The steps that quantize: channels are equalized where the recipe asks for it, and a float model becomes INT8."""

from __future__ import annotations

import functools
from dataclasses import replace

import onnx_ir as ir
from torch import nn

from edgecompress.calibration.variety import doubts_of_calibration
from edgecompress.data.batches import Batches
from edgecompress.data.splits import Streams
from edgecompress.errors import plural
from edgecompress.quantization.aware.recovered import Train
from edgecompress.quantization.enclosure import enclosable
from edgecompress.quantization.equalization import equalize
from edgecompress.quantization.fallback import Accept
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.recovery import PASSES
from edgecompress.quantization.static import Choose, quantize_static
from edgecompress.quantization.timed_placement import TimedChoice, by_table, choose_by_time
from edgecompress.quantization.wide_fallback import most_sensitive, widen_for_budget
from edgecompress.recipe.tables import Isa, Quantization, Recipe
from edgecompress.runtime import network_rows, signature
from edgecompress.step import Step, StepResult
from edgecompress.targets.cpus import FAMILIES, arithmetic_of, threads_here, times_here
from edgecompress.techniques.context import Context
from edgecompress.techniques.quantized_training import train_quantized
from edgecompress.validation.acceptance import accuracy_test, has_limit

GARBAGE_DB = 1.0
"""Agreement below which an INT8 model answers no better than one that always answers zero, whose agreement is 0 dB."""


def plan_steps(recipe: Recipe, _teacher: nn.Module | None) -> tuple[Step, ...]:
    """Equalization, which loses nothing, and static quantization."""
    equalizing = Step(
        name="equalize",
        what="channels are scaled between layers until one scale fits all of a weight",
        run=equalize_channels,
        min_sqnr_db=recipe.export.min_sqnr_db,
    )
    quantizing = Step(
        name="quantize",
        what=_sentence(recipe.quantization, recipe.cpu.isa),
        run=quantize,
        min_sqnr_db=GARBAGE_DB,
        lossless=False,
        ships=True,
        remedy="see which layers suffer (inspect --sensitivity), and name them in quantization.keep_float",
    )
    enclosing = Step(
        name="enclose",
        what=_enclosing(recipe.quantization),
        run=enclose_operators,
        min_sqnr_db=GARBAGE_DB,
        lossless=False,
        ships=True,
        remedy="name layers in quantization.uint16_activations, with '*' all of them",
    )
    before = (equalizing,) if recipe.quantization.equalization else ()
    return (*before, quantizing, enclosing) if recipe.quantization.enclose else (*before, quantizing)


def _sentence(quantization: Quantization, isa: Isa | None) -> str:
    kept = f", {', '.join(quantization.keep_float)} kept float" if quantization.keep_float else ""
    weights = quantization.granularity.replace("_", " ")
    fewer = "".join(f", {name} in {bits} bits" for name, bits in quantization.weight_bits.items())
    recovery = "".join(f", {key.replace('_', ' ')}" for key in PASSES if getattr(quantization, key))
    training = {"always": "trained", "if_missed": "trained if the accuracy budget does not hold"}
    learned = f", {training[quantization.training]}" if quantization.training in training else ""
    falls_back = quantization.fallback_evaluations and not quantization.enclose
    fallback = ", layers return to float for the accuracy budget" if falls_back else ""
    fallback = _exact(quantization, "float") + fallback
    timed = ""
    if quantization.placement == "measured":
        timed = ", placed by measured time" if times_here(isa) else f", placed by the table (no {isa} here to time)"
    small = ", those of float layers INT8 in the file" if quantization.prefer == "size" else ""
    return (
        f"static INT8, {quantization.scheme}, weights {weights}{fewer}{small}{timed}{recovery}{learned}{fallback}{kept}"
    )


def _enclosing(quantization: Quantization) -> str:
    wide = f", {', '.join(quantization.uint16_activations)} in uint16" if quantization.uint16_activations else ""
    fallback = ", layers become uint16 for the accuracy budget" if quantization.fallback_evaluations else ""
    exact = _exact(quantization, "uint16")
    return f"integers around every operator and output, for an NPU{wide}{exact}{fallback}"


def _exact(quantization: Quantization, kind: str) -> str:
    number = quantization.exact_layers
    return f", {plural(number, 'layer')} {kind} in any case" if number else ""


def equalize_channels(model: ir.Model, context: Context) -> StepResult[ir.Model]:
    """Balance the weights of neighbouring layers.

    Raises:
        DataError: the calibration data does not fit the model.
    """
    calibration = context.streams.fitted(signature(model)).calibration
    assert calibration is not None
    return equalize(model, calibration, context.progress)


def enclose_operators(model: ir.Model, context: Context) -> StepResult[ir.Model]:
    """Put integers around what quantization left in floats; where a budget speaks of accuracy, layers become uint16.

    Raises:
        DataError: the calibration data does not fit the model.
    """
    recipe, fitted = context.recipe.quantization, context.streams.fitted(signature(model))
    assert fitted.calibration is not None
    network = enclosable(model, recipe, fitted.calibration, context.progress)
    wide = most_sensitive(network, recipe, fitted.calibration, context.progress)
    recipe = recipe.model_copy(update={"uint16_activations": wide})
    accept = _acceptance(model, fitted, context) if recipe.fallback_evaluations else None
    if accept is None:
        return network.enclose(recipe.uint16_activations)
    return widen_for_budget(network, accept, recipe, fitted.calibration, context.progress)


def quantize(model: ir.Model, context: Context) -> StepResult[ir.Model]:
    """Quantize a float ONNX model; where a budget speaks of accuracy, layers return to float until it is met.

    Raises:
        DataError: the calibration data does not fit the model, or the statistics are of other data.
        EdgecompressError: a scale cannot be right, or the file holds another one than was decided.
    """
    recipe, fitted = context.recipe, context.streams.fitted(signature(model))
    assert fitted.calibration is not None
    judged = recipe.quantization.fallback_evaluations > 0 or recipe.quantization.training != "never"
    accept = _acceptance(model, fitted, context) if judged and not recipe.quantization.enclose else None
    result = quantize_static(
        model,
        recipe.quantization,
        fitted.calibration,
        context.progress,
        context.sharing,
        accept,
        context.observer,
        _choice(context),
        _training(context),
    )
    samples = int(result.metrics["calibration_samples"])
    doubts = doubts_of_calibration(fitted.calibration, samples, judged_apart=fitted.measured is not None)
    return replace(result, warnings=(*doubts, *result.warnings))


def _training(context: Context) -> Train | None:
    """Quantization-aware training, where the recipe may ask for it and there is data; None elsewhere."""
    if context.recipe.quantization.training == "never" or context.streams.train is None:
        return None
    return functools.partial(train_quantized, context=context)


def _choice(context: Context) -> Choose | None:
    """How it is chosen what stays float for the sake of time; None where the recipe leaves that to the table."""
    recipe = context.recipe
    if recipe.quantization.placement == "table":
        return None
    there = recipe.cpu.isa
    if there is not None and not times_here(there):
        reason = f"this machine cannot time {FAMILIES[there].what}, the target's CPU"
        return lambda _lowering, _batches: by_table(reason)

    def choose(lowering: Lowering, batches: Batches) -> TimedChoice:
        sample = batches.first().sample(network_rows(lowering.floats, batches.axes) or 1).inputs
        with context.progress.step("timing placements"):
            return choose_by_time(lowering, sample, threads_here(recipe.cpu.threads))

    return choose


def _acceptance(model: ir.Model, fitted: Streams, context: Context) -> Accept | None:
    """Whether an INT8 model is within the budgets of accuracy; None where no budget can be measured, or none is."""
    recipe, evaluation = context.recipe, fitted.measured
    if evaluation is None or not has_limit(recipe.budgets, evaluation):
        return None
    reference = context.reference or model
    floats = None if reference is model else model
    return accuracy_test(reference, recipe.budgets, evaluation, context.progress, arithmetic_of(recipe), floats=floats)
