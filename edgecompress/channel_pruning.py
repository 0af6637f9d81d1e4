"""The step that prunes channels: cut, and let the network recover, as often as the schedule says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from edgecompress.capture import capture
from edgecompress.data import Batch
from edgecompress.errors import RecipeError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.progress import Progress
from edgecompress.pruning.blocks import choose_blocks, find_blocks, remove_blocks
from edgecompress.pruning.channels.costs import macs_terms, parameter_terms
from edgecompress.pruning.channels.request import Request, select
from edgecompress.pruning.channels.structured import Pruned, Subject, cut_out, examine
from edgecompress.pruning.channels.terms import add_up
from edgecompress.recipe import Recipe
from edgecompress.runtime import open_session, run_session, tensors
from edgecompress.step import Refusal, StepResult
from edgecompress.streams import Streams
from edgecompress.training import SCHEDULES
from edgecompress.training.checkpoint import fingerprint
from edgecompress.tuning import accuracy_percent, loss_gradients, recover
from edgecompress.validation.latency import interleave

SENSITIVITY_ROWS = 256
"""Samples that the sensitivity of layers is measured on, at least."""
LATENCY_RUNS = 20
LATENCY_ROUNDS = 3
"""How often a latency goal is aimed at anew, where the latency that was measured misses it."""


@dataclass(frozen=True)
class Course:
    """What the steps of a schedule have in common."""

    original: nn.Module
    recipe: Recipe
    example: Batch
    streams: Streams
    checkpoints: Path | None
    progress: Progress


def prune_channels(module: nn.Module, course: Course) -> StepResult[nn.Module]:
    """Prune a network and let it recover.

    Args:
        module: not modified; in evaluation mode.
        course: the recipe, an example batch, the data to recover on, and where checkpoints go.

    Raises:
        ModelError: the network cannot be captured.
        RecipeError: nothing can be pruned, or the goal cannot be met.
        DataError: the recipe needs data that is not there, or the data does not fit.
    """
    before = _examine(module, course)
    model, subject, refusals = module, before, before.refusals
    for number, (share, epochs) in enumerate(_schedule(course.recipe), 1):
        with course.progress.step(f"prune {share:.0%} of the {course.recipe.pruning.goal}"):
            pruned = _cut(subject, share, number, course)
        folder = None if course.checkpoints is None else course.checkpoints / f"training-{number}"
        model = recover(pruned.model, course.original, course.recipe, epochs, course.streams, folder, course.progress)
        subject, refusals = _examine(model, course), pruned.refusals
    return StepResult(
        model=model,
        changes=_changes(before, subject),
        refusals=refusals,
        warnings=_warnings(course),
        metrics=_metrics(before, subject, course),
    )


def _schedule(recipe: Recipe) -> Iterator[tuple[float, int]]:
    """For each step, the share of what is left that goes, and the epochs after it."""
    pruning, epochs, done = recipe.pruning, recipe.training.epochs, 0.0
    amounts = list(dict.fromkeys(SCHEDULES[pruning.schedule](pruning.amount, pruning.steps)))
    if 0 < epochs < len(amounts):
        raise RecipeError(f"'pruning.steps' is {len(amounts)}, 'training.epochs' {epochs}; give an epoch to each step")
    for index, amount in enumerate(amounts):
        own = epochs * (index + 1) // len(amounts) - epochs * index // len(amounts)
        yield 1 - (1 - amount) / (1 - done), own
        done = amount


def _examine(module: nn.Module, course: Course) -> Subject:
    return examine(module, (), tensors(course.example.sample(course.recipe.export.batch_size or 1).inputs))


def _cut(subject: Subject, share: float, number: int, course: Course) -> Pruned:
    """The network without the share; a latency goal is held against what ONNX Runtime takes for it."""
    if course.recipe.pruning.method == "block":
        return _cut_blocks(subject, share, course)
    request = _request(course.recipe, share)
    remembered = None if course.checkpoints is None else course.checkpoints / f"channels-{number}.json"
    choice = fingerprint(subject.module, request)
    if remembered is not None and (units := _recall(remembered, choice)) is not None:
        return cut_out(subject, units)
    gradients = None
    if request.criterion == "taylor":
        gradients = loss_gradients(subject.module, course.streams.train, course.progress)
    whole_ms = _latency_ms(subject.module, course) if "latency" in (request.goal, request.spread) else 0.0
    samples = _samples(course) if request.spread == "sensitivity" else ()
    for _ in range(LATENCY_ROUNDS):
        selection = select(
            subject, request, whole_ms=whole_ms, gradients=gradients, samples=samples, progress=course.progress
        )
        pruned = cut_out(subject, selection.units)
        if request.goal != "latency":
            break
        reached = 1 - _latency_ms(pruned.model, course) / whole_ms
        if reached >= share:
            break
        request = replace(request, amount=min(request.amount * share / max(reached, share / 2), 0.95))
    else:
        missed = Refusal(name="latency", kind="goal", reason=f"{reached:.0%} of it went, {share:.0%} was asked for")
        pruned = replace(pruned, refusals=(missed, *pruned.refusals))
    if remembered is not None:
        _remember(remembered, choice, selection.units)
    return replace(pruned, refusals=(*pruned.refusals, *selection.refusals))


def _cut_blocks(subject: Subject, share: float, course: Course) -> Pruned:
    if course.recipe.pruning.goal != "channels":
        raise RecipeError("blocks are removed by their number; leave 'pruning.goal' at channels, or change the method")
    blocks = choose_blocks(find_blocks(subject.module, subject.structure.program), share)
    return Pruned(model=remove_blocks(subject.module, blocks), removed={}, refusals=())


def _samples(course: Course) -> list[Batch]:
    """A few batches to measure sensitivity on."""
    found: list[Batch] = []
    for batch in course.streams.calibration or course.streams.train or ():
        found.append(batch)
        if sum(one.rows for one in found) >= SENSITIVITY_ROWS:
            break
    return found


def _request(recipe: Recipe, share: float) -> Request:
    pruning = recipe.pruning
    return Request(
        amount=share,
        goal=pruning.goal,
        spread=pruning.spread,
        criterion=pruning.importance,
        side="both" if pruning.method == "block" else pruning.method,
        multiple=pruning.multiple,
        protect=pruning.protect,
        threads=recipe.cpu.threads,
        seed=recipe.seed,
    )


def _latency_ms(module: nn.Module, course: Course) -> float:
    """The median latency of a network as float ONNX, for one sample."""
    export = course.recipe.export
    batch = course.example.sample(export.batch_size or 1)
    session = open_session(to_onnx(capture(module, course.example, export), export), course.recipe.cpu.threads)
    return float(np.median(interleave([lambda: run_session(session, batch.inputs)], LATENCY_RUNS)))


def _recall(file: Path, choice: str) -> list[int] | None:
    """The units that a run which was killed had chosen, by the latency that it measured."""
    if not file.is_file():
        return None
    kept = json.loads(file.read_text())
    units: list[int] = kept["units"]
    return units if kept["choice"] == choice else None


def _remember(file: Path, choice: str, units: Sequence[int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"choice": choice, "units": list(units)}))
    partial.replace(file)


def _changes(before: Subject, after: Subject) -> tuple[str, ...]:
    """A line for each layer whose output channels are fewer."""
    old, new = (
        {name: one.shape for name, one in subject.structure.tensors.items() if len(one.shape) > 1}
        for subject in (before, after)
    )
    narrower = (
        f"{name.removesuffix('.weight')}: {shape[0]} -> {new[name][0]} channels"
        for name, shape in old.items()
        if name in new and new[name][0] < shape[0]
    )
    return (*narrower, *(f"{name.removesuffix('.weight')}: removed" for name in old if name not in new))


def _warnings(course: Course) -> tuple[str, ...]:
    if course.streams.train is None:
        return ("there is no training data (--train): the pruned network was not trained to recover",)
    return ()


def _metrics(before: Subject, after: Subject, course: Course) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {}
    for name, subject in (("original", before), ("pruned", after)):
        figures[f"{name}_macs"] = int(add_up(macs_terms(subject.structure, ()))({}))
        figures[f"{name}_parameters"] = int(add_up(parameter_terms(subject.structure, ()))({}))
    accuracy = accuracy_percent(after.module, course.streams.evaluation, course.progress)
    return figures if accuracy is None else {**figures, "pruned_accuracy_percent": accuracy}
