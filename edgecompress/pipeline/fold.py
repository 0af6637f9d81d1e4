"""The fold: a network becomes an artifact step by step, and each is checked before the next runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import onnx_ir as ir
from torch import nn

from edgecompress.arrays import Array, Inputs
from edgecompress.data.batches import Batch
from edgecompress.errors import ParityError, first_line
from edgecompress.metrics.agreement import Agreement, listed
from edgecompress.pipeline.kept_steps import carried_out, graph_of
from edgecompress.pipeline.plan import conversion_steps
from edgecompress.pipeline.prepare import prepare, sample_rows
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, execute, output_names, signature
from edgecompress.step import Conversion, Done, Step, first_graph
from edgecompress.techniques.context import Context
from edgecompress.techniques.cutting import exported

PROBE_ROWS = 8
"""Samples on which every step is compared with the original."""


def convert(
    network: Network,
    context: Context,
    steps: Sequence[Step] | None = None,
    begin: Callable[[], None] = lambda: None,
) -> Conversion:
    """Take a network through the techniques of a recipe and to ONNX, and to INT8 where it asks for that.

    Args:
        network: not modified; a module is taken in evaluation mode.
        context: what is asked, and the data. Where the recipe distils, the network is the student of the teacher, and
            the teacher is the original that all is held against.
        steps: those of the plan; by default the recipe's.
        begin: called when the network and its data are known to fit, before the first step.

    Raises:
        ModelError: the network cannot be run or captured.
        DataError: data that the recipe needs is missing, or does not fit.
        ParityError: a step changed what the network computes.
    """
    if steps is None:
        steps = conversion_steps(network, context.recipe, context.teacher)
    network, context = prepare(network, context)
    begin()
    probe = context.example.sample(sample_rows(network, context.recipe) or PROBE_ROWS).inputs
    changing = [step for step in steps if step.on_module]
    changed: tuple[Done, ...] = ()
    if changing:
        base = _compared_with(network, context)
        reference = graph_of("original", lambda: exported(base, context), context)
        context = replace(context, reference=reference, streams=context.streams.fitted(signature(reference)))
        if context.streams.evaluation is not None:
            context.streams.evaluation.first()  # its size is known to differ here, and not after an hour of training
        changed = run_steps(base, network, changing, probe, context)
        network = changed[-1].result.model
    # From here on nothing but the integers may change what is computed: each step is held against the changed network.
    before = tuple(step.name for step in changing)
    done = run_steps(network, network, steps[len(changing) :], probe, context, before)
    original = context.reference or (network if isinstance(network, ir.Model) else first_graph(done))
    return Conversion(
        original=original,
        done=(*changed, *done),
        stages=(("original", original), *_stages(changed, done, context)),
        class_axis=context.streams.class_axis,
    )


def float_original(network: Network, recipe: Recipe, example: Batch) -> ir.Model:
    """The float ONNX model that an artifact is compared with: as it is exported, or as the user gave it.

    Raises:
        ModelError: the network cannot be run or captured.
    """
    plain = Recipe(export=recipe.export, images=recipe.images)
    return convert(network, Context(recipe=plain, example=example)).original


def _compared_with(network: Network, context: Context) -> nn.Module:
    """The network that all is held against: the teacher of a student, or else the network as it came."""
    assert isinstance(network, nn.Module)  # the plan refuses what is none
    return context.teaching if "distillation" in context.recipe.techniques else network


def _stages(changed: Sequence[Done], done: Sequence[Done], context: Context) -> Iterator[tuple[str, ir.Model]]:
    """What could have shipped: after each technique, and after each later step that says so."""
    for step in changed[:-1]:
        yield step.name, exported(step.result.model, context)
    for step in changed[-1:]:
        yield step.name, first_graph(done)
    for step in done:
        if step.step.ships:
            yield step.name, step.result.model


def run_steps(
    reference: Network,
    network: Network,
    steps: Sequence[Step],
    probe: Inputs,
    context: Context,
    before: Sequence[str] = (),
) -> tuple[Done, ...]:
    """Fold the steps over a network; ``before`` has the names of those that made it.

    Raises:
        ParityError: the first step whose outputs on ``probe`` diverge from the reference's.
    """
    expected = execute(reference, probe)
    done: list[Done] = []
    for step in steps:
        start = time.perf_counter()
        with context.progress.step(f"step {step.name}"):
            result = carried_out(step, network, [*before, *(each.name for each in done)], probe, context)
        for warning in result.warnings:
            context.progress.warn(warning)
        agreement = _agreement(step, expected, result.model, probe)
        done.append(Done(step=step, result=result, agreement=agreement, seconds=time.perf_counter() - start))
        network = result.model
        if context.reference is None and isinstance(network, ir.Model):
            context = replace(context, reference=network)  # the first graph, which is float
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
    told, fix = f"step {step.name!r} changed what the model computes:", f"; {step.remedy}" if step.remedy else ""
    if agreement.sqnr_db < floor_db:
        told = f"{told} {agreement.sqnr_db:.1f} dB agreement with the"
        if step.lossless:
            raise ParityError(f"{told} original, {floor_db:g} dB wanted (export.min_sqnr_db)")
        raise ParityError(f"{told} float model, under {floor_db:g} dB it is another one{fix}")
    if lost := agreement.lost():
        raise ParityError(
            f"{told} {listed(lost)} carries signal before it, and zeros, a constant or noise after it{fix}"
        )
