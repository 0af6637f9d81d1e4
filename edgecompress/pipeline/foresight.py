"""What is known of a run before it starts: data that it lacks or does not read, and budgets that nothing decides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import STAGES, Recipe
from edgecompress.recipe.values import URLS
from edgecompress.targets.cpus import host_isa
from edgecompress.techniques.fine_tuning import untrained_in_words
from edgecompress.validation.budgets import AGAINST_THE_FLOAT, MEASURES, OF_THE_METRIC
from edgecompress.validation.doubtful_limits import doubtful_factors
from edgecompress.validation.elsewhere.places import BROWSER, EMULATOR, asked_places, handling_of, runtime_of
from edgecompress.validation.elsewhere.results import LIMITS
from edgecompress.validation.remedies import ON_AN_NPU

OF_LATENCY = ("min_speedup", "max_latency_ms", "max_latency_p95_ms", "max_latency_p99_ms")
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
    if recipe.techniques:
        yield from _of_latency(recipe)
    else:
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


def times_another_cpu(recipe: Recipe) -> bool:
    """Whether latencies are those of this machine, and the target has a CPU of another kind."""
    there, here = recipe.cpu.isa, host_isa()
    timed_there = any(name.startswith(URLS) for name in asked_places(recipe))
    return not timed_there and there is not None and here is not None and there != here


def _of_latency(recipe: Recipe) -> Iterator[str]:
    """Times are this machine's, whatever the target is; where a device is named, they are its own."""
    if any(name.startswith(URLS) for name in asked_places(recipe)):
        return
    set_budgets, here = _set(recipe.budgets, OF_LATENCY), host_isa()
    emulated = bool(recipe.cpu.emulate)
    if set_budgets and emulated:
        yield f"{_listed(set_budgets)} measured on this machine; of an emulated CPU only the answers are compared"
    elif set_budgets and times_another_cpu(recipe):
        yield (
            f"{_listed(set_budgets)} measured on this machine ({here}), not on {recipe.cpu.isa}; run the bundle's"
            " selftest.py there"
        )


def _of_the_float(budgets: Budgets) -> Iterator[str]:
    """Nothing makes the artifact smaller or faster than what it is compared with."""
    if found := _set(budgets, AGAINST_THE_FLOAT):
        yield f"{_listed(found)} not measured: no technique is enabled, and the artifact is the float model itself"


def _unmeasured(recipe: Recipe, roles: Collection[str]) -> Iterator[str]:
    of_the_metric = _set(recipe.budgets, OF_THE_METRIC)
    if of_the_metric and "evaluation" not in roles:
        yield f"{_listed(of_the_metric)} not measured: there is no evaluation data (--evaluation)"
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
        yield f"{_listed(found)} not measured: no NPU is named; set validation.device"


def _set(budgets: Budgets, names: Sequence[str]) -> list[str]:
    assert {*names} <= {*MEASURES}
    return [name for name in names if getattr(budgets, name) is not None]


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
