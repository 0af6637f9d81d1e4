"""The step that prunes channels: cut, and let the network recover, as often as the schedule says."""

from __future__ import annotations

import hashlib
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
from edgecompress.pruning.channels.memory import recall, remember
from edgecompress.pruning.channels.request import Request, Selection, selector
from edgecompress.pruning.channels.structured import Pruned, Subject, cut_out, examine
from edgecompress.pruning.channels.terms import add_up
from edgecompress.pruning.names import check_names, covers
from edgecompress.pruning.structure.groups import layer_name, producers
from edgecompress.recipe import Recipe
from edgecompress.runtime import open_session, run_session, tensors
from edgecompress.step import Refusal, StepResult
from edgecompress.streams import Streams
from edgecompress.training import SCHEDULES
from edgecompress.training.checkpoint import FILE, PARTIAL, fingerprint
from edgecompress.training.processes import from_first
from edgecompress.training.randomness import own_randomness, seed_all
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
    with own_randomness():  # data that are drawn at random are drawn alike in a run that goes on after a kill
        return _prune(module, course)


def _prune(module: nn.Module, course: Course) -> StepResult[nn.Module]:
    seed_all("prune", course.recipe.seed)
    before = _examine(module, course)
    model, subject, refusals = module, before, before.refusals
    for number, (share, epochs) in enumerate(_schedule(course.recipe), 1):
        seed_all("prune", course.recipe.seed, number)
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


def remove_checkpoints(folder: Path) -> None:
    """Remove what runs into this folder wrote, and the folder if it held nothing else."""
    for pattern in ("channels-*.json", ".channels-*.partial", f"training-*/{FILE}", f"training-*/{PARTIAL}"):
        for file in folder.glob(pattern):
            file.unlink()
    for part in (*folder.glob("training-*"), folder):
        if part.is_dir() and not any(part.iterdir()):
            part.rmdir()


def _schedule(recipe: Recipe) -> Iterator[tuple[float, int]]:
    """For each step, the share of what is left that goes, and the epochs after it."""
    pruning, epochs, done = recipe.pruning, recipe.training.epochs, 0.0
    amounts = list(dict.fromkeys(SCHEDULES[pruning.schedule](pruning.amount, pruning.steps)))
    for index, amount in enumerate(amounts):
        own = epochs * (index + 1) // len(amounts) - epochs * index // len(amounts)
        yield 1 - (1 - amount) / (1 - done), own
        done = amount


def _examine(module: nn.Module, course: Course) -> Subject:
    return examine(module, (), tensors(course.example.sample(course.recipe.export.batch_size or 1).inputs))


def _cut(subject: Subject, share: float, number: int, course: Course) -> Pruned:
    """The network without the share."""
    if course.recipe.pruning.method == "block":
        return _cut_blocks(subject, share, course)
    selection = from_first(lambda: _selection(subject, share, number, course))
    pruned = cut_out(subject, selection.units)
    return replace(pruned, refusals=(*pruned.refusals, *selection.refusals))


def _selection(subject: Subject, share: float, number: int, course: Course) -> Selection:
    """The channels that go: those that a run which was killed had chosen, or else chosen now."""
    request, samples = _request(course.recipe, share), _samples(course)
    if course.checkpoints is None:
        return _choose(subject, request, samples, course)
    file = course.checkpoints / f"channels-{number}.json"
    key = fingerprint(subject.module, request, _digest(samples))
    selection = recall(file, key) or _choose(subject, request, samples, course)
    remember(file, key, selection)
    return selection


def _choose(subject: Subject, request: Request, samples: Sequence[Batch], course: Course) -> Selection:
    """A latency goal is held against what ONNX Runtime takes for the pruned network, and aimed at anew."""
    share = request.amount
    taylor = request.criterion == "taylor"
    gradients = loss_gradients(subject.module, course.streams.train, course.progress) if taylor else None
    whole_ms = _latency_ms(subject.module, course) if "latency" in (request.goal, request.spread) else 0.0
    select_at = selector(
        subject, request, whole_ms=whole_ms, gradients=gradients, samples=samples, progress=course.progress
    )
    amount = share
    for _ in range(LATENCY_ROUNDS):
        selection = select_at(amount)
        if request.goal != "latency":
            return selection
        reached = 1 - _latency_ms(cut_out(subject, selection.units).model, course) / whole_ms
        if reached >= share:
            return selection
        amount = min(amount * share / max(reached, share / 2), 0.95)
    missed = Refusal(name="latency", kind="goal", reason=f"{reached:.0%} of it went, {share:.0%} was asked for")
    return replace(selection, refusals=(missed, *selection.refusals))


def _cut_blocks(subject: Subject, share: float, course: Course) -> Pruned:
    pruning = course.recipe.pruning
    if pruning.goal != "channels":
        raise RecipeError("blocks are removed by their number; leave 'pruning.goal' at channels, or change the method")
    found = find_blocks(subject.module, subject.structure.program)
    check_names(pruning.protect, subject.module)
    kept = [block for block in found if any(covers(pattern, block.name) for pattern in pruning.protect)]
    blocks = choose_blocks([block for block in found if block not in kept], share)
    refusals = (Refusal(name=block.name, kind="block", reason="named in 'pruning.protect'") for block in kept)
    return Pruned(model=remove_blocks(subject.module, blocks), removed={}, refusals=tuple(refusals))


def _samples(course: Course) -> list[Batch]:
    """A few batches to measure sensitivity on."""
    found: list[Batch] = []
    if course.recipe.pruning.spread != "sensitivity":
        return found
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


def _digest(batches: Sequence[Batch]) -> str:
    hasher = hashlib.sha256()
    for batch in batches:
        batch.update(hasher)
    return hasher.hexdigest()


def _changes(before: Subject, after: Subject) -> tuple[str, ...]:
    """A line for each layer whose output channels are fewer."""
    old, new = (_output_channels(subject) for subject in (before, after))
    narrower = (f"{name}: {old[name]} -> {new[name]} channels" for name in old if new.get(name, old[name]) < old[name])
    return (*narrower, *(f"{name}: removed" for name in old if name not in new))


def _output_channels(subject: Subject) -> dict[str, int]:
    tensors, own = subject.structure.tensors, set(subject.structure.program.graph_signature.parameters)
    made = producers(subject.structure)
    return {layer_name(name): tensors[name].shape[axis] for name, axis in made if name in own}


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
