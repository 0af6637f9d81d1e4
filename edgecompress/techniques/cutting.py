"""Cutting: a network without a share of its cost, the channels chosen once for all processes and after a kill."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import onnx_ir as ir
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.errors import EdgecompressError, RecipeError, plural
from edgecompress.exporters.canonicalize import canonicalize
from edgecompress.exporters.onnx import to_onnx
from edgecompress.modules.capture import capture
from edgecompress.modules.names import check_names, covers
from edgecompress.pruning.blocks import Block, choose_blocks, find_blocks, remove_blocks
from edgecompress.pruning.channels.selection import PruningRequest, Selection, nothing_goes, selector
from edgecompress.pruning.channels.sensitivity import Curves, Recall, make_now
from edgecompress.pruning.channels.structured import FIXED, Pruned, Subject, cut_out, examine
from edgecompress.pruning.channels.widths import Widths
from edgecompress.pruning.structure.groups import layer_name, producers
from edgecompress.recipe.tables import Recipe
from edgecompress.registry import CRITERIA, choose
from edgecompress.runtime import tensors
from edgecompress.step import Refusal
from edgecompress.targets.cpus import threads_here
from edgecompress.techniques.choices import chosen_once
from edgecompress.techniques.context import Context
from edgecompress.techniques.loss_gradients import loss_gradients
from edgecompress.timing.clock import OwnClock
from edgecompress.timing.latency import Latency, summarize
from edgecompress.training.checkpoint import fingerprint

SENSITIVITY_ROWS = 256
"""Samples that the sensitivity of layers is measured on, at least."""
LATENCY_RUNS = 50
LATENCY_ROUNDS = 4
"""How often a latency goal is aimed at."""


def examine_network(module: nn.Module, context: Context) -> Subject:
    """A network's groups of channels, found on as many samples as the recipe exports for."""
    return examine(module, (), tensors(context.example.sample(context.recipe.export.batch_size or 1).inputs))


def can_be_cut(module: nn.Module, example: Batch, recipe: Recipe) -> bool:
    """Whether the channels that a recipe asks for can leave a network; none can where it cannot be captured.

    It is looked for by the norms of weights; a goal in latency, which nothing but time decides, by its channels.
    """
    asked = recipe.pruning
    goal = "channels" if asked.goal == "latency" else asked.goal
    quick = asked.model_copy(update={"goal": goal, "spread": "uniform", "importance": "l2", "blocks": 0.0})
    context = Context(recipe=recipe.model_copy(update={"pruning": quick}), example=example)
    try:
        return bool(cut(examine_network(module, context), asked.amount, "tried", context).removed)
    except EdgecompressError:
        return False


def cut(subject: Subject, share: float, name: str, context: Context) -> Pruned:
    """The network without the share; under its name the choice is kept for a run that goes on after a kill."""
    if context.recipe.pruning.method == "block":
        return _cut_blocks(subject, share, context)
    request = _request(context, share)
    samples = samples_of(context) if request.spread == "sensitivity" else []
    key = fingerprint(subject.module, request, context.fixed, _digest([context.example, *samples]))
    values = chosen_once(
        context.choice(f"channels-{name}"), key, lambda: asdict(_choose(subject, request, samples, context))
    )
    selection = _selection(**values)
    pruned = cut_out(subject, selection.units)
    if selection.units and not pruned.removed:
        raise RecipeError(nothing_goes([refusal for refusal in pruned.refusals if refusal.reason == FIXED]))
    return replace(pruned, refusals=(*pruned.refusals, *selection.refusals))


def _selection(units: Sequence[int], widths: Widths, refusals: Sequence[Mapping[str, str]]) -> Selection:
    """A selection from what JSON holds."""
    return Selection(units=tuple(units), widths=widths, refusals=tuple(Refusal(**refusal) for refusal in refusals))


def _choose(subject: Subject, request: PruningRequest, samples: Sequence[Batch], context: Context) -> Selection:
    share = request.amount
    criterion = choose(CRITERIA, request.criterion)
    needed = getattr(criterion.function, "needs_gradients", False)
    gradients = loss_gradients(subject.module, context, criterion.told) if needed else None
    timed = "latency" in (request.goal, request.spread)
    whole = as_artifact(subject.module, context) if timed else None
    whole_ms = time_models([whole], context)[0].median_ms if whole is not None else 0.0
    select_at = selector(
        subject,
        request,
        whole_ms=whole_ms,
        gradients=gradients,
        samples=samples,
        progress=context.progress,
        clock=context.clock,
        recall=_recall(subject, samples, context),
    )
    if request.goal != "latency" or whole is None or not share:
        return select_at(share)

    def reached_by(selection: Selection) -> float:
        smaller = as_artifact(cut_out(subject, selection.units).model, context)
        before, after = time_models([whole, smaller], context)
        return 1 - after.median_ms / before.median_ms

    return _aim(select_at, reached_by, share)


def _recall(subject: Subject, samples: Sequence[Batch], context: Context) -> Recall:
    """What runs that keep something for each other have measured of a network on samples."""
    kept = context.kept
    if kept is None:
        return make_now
    network = fingerprint(subject.module, str(subject.module), _digest(samples))

    def recall(parts: tuple[Any, ...], measure: Callable[[], Curves]) -> Curves:
        found: Curves = kept.values(kept.key("sensitivity", of=fingerprint(subject.module, network, parts)), measure)
        return found

    return recall


def _aim(select_at: Callable[[float], Selection], reached_by: Callable[[Selection], float], share: float) -> Selection:
    """The selection that removes least among those whose measured share is enough, or the one that comes nearest.

    What is asked of the model of latency is corrected by what was measured of the network, a few times, either way.
    """
    tried: dict[tuple[int, ...], tuple[float, Selection]] = {}
    amount = share
    for _ in range(LATENCY_ROUNDS):
        try:
            selection = select_at(amount)
        except RecipeError:
            if not tried:
                raise
            break  # more than that cannot go, and what was reached counts
        if selection.units in tried:
            break
        reached = reached_by(selection)
        tried[selection.units] = (reached, selection)
        amount = min(amount * share / max(reached, share / 2, 0.01), 0.95)
    enough = [selection for reached, selection in tried.values() if reached >= share]
    if enough:
        return min(enough, key=lambda selection: len(selection.units))
    reached, selection = max(tried.values(), key=lambda pair: pair[0])
    missed = Refusal(name="latency", kind="goal", reason=f"{reached:.0%} of it went, {share:.0%} was asked for")
    return replace(selection, refusals=(missed, *selection.refusals))


def _cut_blocks(subject: Subject, share: float, context: Context) -> Pruned:
    pruning = context.recipe.pruning
    if pruning.goal != "channels":
        raise RecipeError("blocks are removed by their number; leave 'pruning.goal' at channels, or change the method")
    free, refusals = free_blocks(subject, pruning.protect)
    return Pruned(model=remove_blocks(subject.module, choose_blocks(free, share)), removed={}, refusals=refusals)


def free_blocks(subject: Subject, protect: Sequence[str]) -> tuple[list[Block], tuple[Refusal, ...]]:
    """The residual blocks that may go, and those that may not."""
    check_names(protect, subject.module)
    found = find_blocks(subject.module, subject.structure.program)
    kept = [block for block in found if any(_touches(pattern, block, subject.module) for pattern in protect)]
    refusals = (
        Refusal(name=block.name, kind="block", reason="'pruning.protect' names it or part of it") for block in kept
    )
    return [block for block in found if block not in kept], tuple(refusals)


def _touches(pattern: str, block: Block, module: nn.Module) -> bool:
    """Whether a pattern names a block, what it is in, or something in it."""
    parts = (name for name, _ in module.get_submodule(block.name).named_modules(prefix=block.name))
    return any(covers(pattern, name) for name in parts)


def samples_of(context: Context) -> list[Batch]:
    """A few batches to measure sensitivity on."""
    found: list[Batch] = []
    for batch in context.streams.calibration or context.streams.train or ():
        found.append(batch)
        if sum(taken.rows for taken in found) >= SENSITIVITY_ROWS:
            break
    return found


def _request(context: Context, share: float) -> PruningRequest:
    recipe, pruning = context.recipe, context.recipe.pruning
    return PruningRequest(
        amount=share,
        goal=pruning.goal,
        spread=pruning.spread,
        criterion=context.criterion or pruning.importance,
        side="both" if pruning.method == "block" else pruning.method,
        multiple=pruning.multiple,
        residual=pruning.residual,
        protect=pruning.protect,
        threads=threads_here(recipe.cpu.threads),
        seed=recipe.seed,
    )


def exported(module: nn.Module, context: Context) -> ir.Model:
    """A network as float ONNX, as the exporter writes it."""
    export = context.recipe.export
    return to_onnx(capture(module, context.example, export), export)


def as_artifact(module: nn.Module, context: Context) -> ir.Model:
    """A network as the float artifact that it would become."""
    return canonicalize(exported(module, context)).model


def time_models(models: Sequence[ir.Model], context: Context) -> list[Latency]:
    """The latency of each for one sample, or as many as the recipe exports for, timed in turn in one run."""
    inputs = context.example.sample(context.recipe.export.batch_size or 1).inputs
    clock = context.clock or OwnClock(threads=threads_here(context.recipe.cpu.threads))
    return [summarize(column) for column in clock.networks(models, inputs, LATENCY_RUNS).T]


def _digest(batches: Sequence[Batch]) -> str:
    hasher = hashlib.sha256()
    for batch in batches:
        batch.update(hasher)
    return hasher.hexdigest()


def narrower_layers(before: Subject, after: Subject) -> tuple[str, ...]:
    """A line for each layer whose output channels are fewer."""
    old, new = (_output_channels(subject) for subject in (before, after))
    narrower = (
        f"{name}: {old[name]} -> {plural(new[name], 'channel')}" for name in old if new.get(name, old[name]) < old[name]
    )
    return (*narrower, *(f"{name}: removed" for name in old if name not in new))


def _output_channels(subject: Subject) -> dict[str, int]:
    tensors, own = subject.structure.tensors, set(subject.structure.program.graph_signature.parameters)
    made = producers(subject.structure)
    return {layer_name(name): tensors[name].shape[axis] for name, axis in made if name in own}
