"""What to change in a run when a budget is missed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe
from edgecompress.validation.budgets import OF_QUALITY

SMALL_AND_FAST = (
    "min_speedup",
    "max_latency_ms",
    "max_latency_p95_ms",
    "max_latency_p99_ms",
    "min_compression_ratio",
    "max_size_mb",
)
ON_AN_NPU = ("max_cpu_nodes", "min_npu_share")
OF_SIZE = ("min_compression_ratio", "max_size_mb")
SMALLEST_BYTES = 20_000
"""A file below is mostly the graph itself, which nothing makes smaller."""
STEP = 0.8
"""What is asked for next, of an amount that took too much, and of what an amount left that took too little."""
QUANTIZED = "quantization.enabled=true"
OFF = (False, 0, "never")
"""What a user who sets it has switched off."""
MOST = 0.9
"""An amount above which no more is advised."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is known of a run that missed a budget.

    Attributes:
        recipe: what was asked for.
        roles: of the data that were given: calibration, evaluation, train.
        chosen: the keys of the recipe that the user set.
        size_bytes: of the artifact.
        possible: whether the model allows what another recipe asks for; asked last, since it may take long.
    """

    recipe: Recipe
    roles: Collection[str]
    chosen: Collection[str] = ()
    size_bytes: float = math.inf
    possible: Callable[[Recipe], bool] = lambda _: True


def remedies(budget: str, run: Run) -> tuple[str, ...]:
    """Options of ``compress``, the cheapest first; each moves the measure of a budget the right way.

    Nothing is switched on that the user switched off.

    Args:
        budget: its key.
        run: what missed it.

    >>> from edgecompress.recipe.tables import Pruning
    >>> asked = Recipe(pruning=Pruning(enabled=True, amount=0.5, residual="keep"))
    >>> remedies("min_speedup", Run(recipe=asked, roles=("calibration", "train")))
    ('--set quantization.enabled=true', '--set pruning.amount=0.6')
    >>> remedies("min_speedup", Run(recipe=asked, roles=("calibration",)))[-1]
    '--train DATA --set pruning.amount=0.6'
    >>> remedies("max_accuracy_drop", Run(recipe=asked, roles=("calibration",)))
    ('--train DATA', '--set pruning.amount=0.4')
    """
    recipe = run.recipe
    if budget in OF_SIZE and run.size_bytes < SMALLEST_BYTES:
        return ()
    learns = recipe.trains and bool(recipe.training.epochs)
    missing = ("--train DATA",) if budget in OF_QUALITY and learns and "train" not in run.roles else ()
    return (*missing, *(_option(change, run) for change in _tries(budget, run) if _can_change(run, change)))


def _option(change: str, run: Run) -> str:
    """A change as it is typed, after the data that it needs and that were not given."""
    changed = override(run.recipe, [change])
    learns = changed.training.epochs > 0 and _cuts_more(changed, run.recipe)
    needed = {"calibration": change == QUANTIZED, "train": learns}
    data = [f"--{role} DATA" for role, needs in needed.items() if needs and role not in run.roles]
    return " ".join((*data, f"--set {change}"))


def _cuts_more(changed: Recipe, recipe: Recipe) -> bool:
    """Whether a changed recipe takes more of the network away, which has to learn again then."""
    amounts = [
        (each.pruning.enabled * each.pruning.amount, each.low_rank.enabled * each.low_rank.amount)
        for each in (changed, recipe)
    ]
    return any(after > before for after, before in zip(*amounts, strict=True))


def _tries(budget: str, run: Run) -> Iterator[str]:
    recipe = run.recipe
    if budget in OF_QUALITY:
        yield from _finer_integers(budget, recipe, trained="train" in run.roles)
        yield from _gentler_cuts(recipe, trained="train" in run.roles)
    elif budget in SMALL_AND_FAST:
        yield from _smaller(recipe)
    elif "quantization" not in recipe.techniques:
        return
    elif budget in ON_AN_NPU:
        yield "quantization.enclose=true"
    elif budget == "min_cpu_agreement":
        yield "quantization.scheme=fbgemm"


def _finer_integers(budget: str, recipe: Recipe, *, trained: bool) -> Iterator[str]:
    enabled = "quantization" in recipe.techniques
    if enabled:
        yield "quantization.bias_correction=true"
        yield "quantization.adaround=true"
    if enabled and not recipe.quantization.fallback_evaluations and budget != "min_sqnr_db":
        yield "quantization.fallback_evaluations=6"
    if enabled and trained and recipe.quantization.training == "never":
        yield "quantization.training=always"


def _gentler_cuts(recipe: Recipe, *, trained: bool) -> Iterator[str]:
    pruning, enabled = recipe.pruning, "pruning" in recipe.techniques
    if recipe.trains and trained:
        yield f"training.epochs={2 * recipe.training.epochs or max(4, pruning.steps)}"
    if enabled and pruning.residual == "prune" and pruning.goal != "channels":
        yield "pruning.residual=auto"
    if enabled:
        yield f"pruning.amount={STEP * pruning.amount:.2g}"
    if _shares(recipe):
        yield f"low_rank.amount={STEP * recipe.low_rank.amount:.2g}"


def _smaller(recipe: Recipe) -> Iterator[str]:
    yield QUANTIZED
    if "pruning" in recipe.techniques and recipe.pruning.amount <= MOST:
        yield f"pruning.amount={1 - STEP * (1 - recipe.pruning.amount):.2g}"
    elif _shares(recipe) and recipe.low_rank.amount <= MOST:
        yield f"low_rank.amount={1 - STEP * (1 - recipe.low_rank.amount):.2g}"
    elif not recipe.trains:  # a student is derived from the budget itself
        yield "pruning.enabled=true"


def _shares(recipe: Recipe) -> bool:
    """Whether ``low_rank.amount`` is what decides the ranks."""
    return "low_rank" in recipe.techniques and recipe.low_rank.goal in ("macs", "parameters", "latency")


def _can_change(run: Run, assignment: str) -> bool:
    """Whether an assignment is possible, not made already, and not what the user has just undone."""
    key = assignment.partition("=")[0]
    if key in run.chosen and _value(run.recipe, key) in OFF:
        return False
    try:
        changed = override(run.recipe, [assignment])
    except RecipeError:
        return False
    return changed != run.recipe and run.possible(changed)


def _value(recipe: Recipe, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), recipe)
