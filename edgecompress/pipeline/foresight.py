"""What is known of a run before it starts: data that it lacks or does not read, and budgets that nothing decides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from edgecompress.errors import they_are
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import STAGES, Recipe
from edgecompress.recipe.values import URLS
from edgecompress.targets.cpus import another_cpu, times_here
from edgecompress.techniques.fine_tuning import untrained_in_words
from edgecompress.validation.another_cpu import ON_A_DEVICE, untimed
from edgecompress.validation.budgets import AGAINST_THE_FLOAT, MEASURES, OF_LATENCY, OF_THE_METRIC
from edgecompress.validation.doubtful_limits import doubtful_factors
from edgecompress.validation.elsewhere.places import BROWSER, EMULATOR, asked_places, handling_of, runtime_of
from edgecompress.validation.elsewhere.results import LIMITS
from edgecompress.validation.remedies import ON_AN_NPU

TO_TRAIN = "take --target edge or realtime, which train, and give --train DATA"
CHANGED = {"pruning": "pruned", "low_rank": "factorized"}
"""What a technique that may go without training data makes of a network."""
READ_ELSEWHERE = ("training.task", "training.ignore_index", "training.loss")
"""Keys of training that evaluation reads too, or that are told of by themselves."""


def foreseen(
    recipe: Recipe, roles: Collection[str], *, taught: bool = False, asked: Sequence[str] = ()
) -> Iterator[str]:
    """Warnings, a sentence each.

    Args:
        recipe: what is asked for.
        roles: of the data that were given.
        taught: whether a teacher was given.
        asked: the keys that were set for this run.
    """
    yield from _idle(recipe, roles, asked)
    yield from _of_training(recipe, roles, taught=taught)
    yield from _of_latency(recipe, taught=taught)
    if not recipe.techniques:
        yield from _of_the_float(recipe.budgets)
    yield from doubtful_factors(recipe.budgets)
    yield from _unmeasured(recipe, roles)


def _idle(recipe: Recipe, roles: Collection[str], asked: Sequence[str]) -> Iterator[str]:
    """Keys that were set and change nothing."""
    integers = recipe.quantization
    if "quantization.uint16_activations" in asked and integers.enabled and not integers.enclose:
        yield "quantization.uint16_activations has no effect: that is for NPUs; set quantization.enclose=true"
    if "quantization.training" in asked and integers.training == "if_missed" and "train" not in roles:
        yield "quantization.training has no effect: there is no training data (--train)"
    learns = recipe.trains and "train" in roles and recipe.training.epochs > 0
    for key in asked:
        table, _, name = key.partition(".")
        if table in STAGES and table not in recipe.techniques and name != "enabled":
            if table != "distillation" or not (learns and recipe.training.teacher):
                yield f"{key} has no effect: {table} is off; set {table}.enabled=true"
        elif table != "training" or key in READ_ELSEWHERE or not recipe.training.epochs:
            continue
        elif not recipe.trains:
            yield f"{key} has no effect: no technique of this recipe trains; {TO_TRAIN}"
        elif "train" not in roles:
            yield f"{key} has no effect: there is no training data (--train)"


def _of_training(recipe: Recipe, roles: Collection[str], *, taught: bool) -> Iterator[str]:
    if recipe.trains and recipe.training.epochs and "train" not in roles:
        yield from (untrained_in_words(CHANGED[name]) for name in recipe.techniques if name in CHANGED)
    unread = {
        "the training data is not read": "train" in roles,
        "the teacher is not asked": taught,
        "the loss is not asked": recipe.training.loss is not None,
    }
    for told, there in unread.items():
        if there and not recipe.trains:
            yield f"{told}: no technique of this recipe trains"


def _of_latency(recipe: Recipe, *, taught: bool) -> Iterator[str]:
    """Times are this machine's, whatever the target is; where a device is named, they are its own."""
    if any(name.startswith(URLS) for name in asked_places(recipe)):
        return
    compared = () if recipe.techniques else AGAINST_THE_FLOAT
    set_budgets = _set(recipe.budgets, [name for name in OF_LATENCY if name not in compared])
    derived = recipe.budgets.bound_latency and not taught and recipe.techniques[:1] == ("distillation",)
    timed = (*recipe.goals_in_time, *(["the size of the derived student"] if derived else []))
    if not times_here(recipe.cpu.isa):
        if timed:
            yield f"{they_are(timed)} decided by this machine's times: {another_cpu(recipe.cpu.isa)}; {ON_A_DEVICE}"
        if set_budgets:
            yield untimed(set_budgets, recipe.cpu.isa)
    elif set_budgets and recipe.cpu.emulate:
        yield f"{they_are(set_budgets)} measured on this machine; of an emulated CPU only the answers are compared"


def _of_the_float(budgets: Budgets) -> Iterator[str]:
    """Nothing makes the artifact smaller or faster than what it is compared with."""
    if found := _set(budgets, AGAINST_THE_FLOAT):
        yield f"{they_are(found)} not measured: no technique is enabled, and the artifact is the float model itself"


def _unmeasured(recipe: Recipe, roles: Collection[str]) -> Iterator[str]:
    of_the_metric = _set(recipe.budgets, OF_THE_METRIC)
    if of_the_metric and "evaluation" not in roles:
        yield f"{they_are(of_the_metric)} not measured: there is no evaluation data (--evaluation)"
    yield from _of_an_npu(recipe)
    groups = {EMULATOR: "cpus", BROWSER: "browser"}
    tried = {groups.get(runtime_of(name), "runtimes") for name in asked_places(recipe)}
    for group, limit in LIMITS.items():
        if getattr(recipe.budgets, limit) is not None and group not in tried:
            what, key = ("CPU", "cpu.emulate") if group == "cpus" else ("place to run", "validation.on")
            yield f"{limit} is not measured: no other {what} is named; set {key}"


def _of_an_npu(recipe: Recipe) -> Iterator[str]:
    """Budgets of a placement, where no runtime that is asked for has another unit than the CPU."""
    units = {handling_of(runtime_of(name)).unit for name in asked_places(recipe)}
    if units <= {"CPU"} and (found := _set(recipe.budgets, ON_AN_NPU)):
        yield f"{they_are(found)} not measured: no NPU is named; set validation.device"


def _set(budgets: Budgets, names: Sequence[str]) -> list[str]:
    assert {*names} <= {*MEASURES}
    return [name for name in names if getattr(budgets, name) is not None]
