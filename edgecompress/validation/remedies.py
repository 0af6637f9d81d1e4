"""What to change in a run when a budget is missed."""

from __future__ import annotations

from collections.abc import Iterator

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
STEP = 0.8
"""What is asked for next, of an amount that took too much, and of what an amount left that took too little."""
MOST = 0.9
"""An amount above which no more is advised."""


def remedies(budget: str, recipe: Recipe, *, trained: bool, prunable: bool) -> tuple[str, ...]:
    """Options of ``compress``, the cheapest first; each moves the measure of a budget the right way.

    Args:
        budget: its key.
        recipe: what missed it.
        trained: whether there were training data.
        prunable: whether the model is one that channels can be removed from.

    >>> from edgecompress.recipe.tables import Pruning
    >>> asked = Recipe(pruning=Pruning(enabled=True, amount=0.5, residual="keep"))
    >>> remedies("min_speedup", asked, trained=True, prunable=True)
    ('--set quantization.enabled=true', '--set pruning.amount=0.6')
    >>> remedies("max_accuracy_drop", asked, trained=False, prunable=True)
    ('--train DATA', '--set pruning.amount=0.4')
    """
    missing = ("--train DATA",) if budget in OF_QUALITY and recipe.trains and not trained else ()
    tries = _tries(budget, recipe, trained=trained, prunable=prunable)
    return (*missing, *(f"--set {change}" for change in tries if _changes(recipe, change)))


def _tries(budget: str, recipe: Recipe, *, trained: bool, prunable: bool) -> Iterator[str]:
    if budget in OF_QUALITY:
        yield from _finer_integers(budget, recipe)
        yield from _gentler_cuts(recipe, trained)
    elif budget in SMALL_AND_FAST:
        yield from _smaller(recipe, prunable)
    elif budget == "min_cpu_agreement":
        yield "quantization.scheme=fbgemm"


def _finer_integers(budget: str, recipe: Recipe) -> Iterator[str]:
    enabled = "quantization" in recipe.techniques
    if enabled:
        yield "quantization.bias_correction=true"
        yield "quantization.adaround=true"
    if enabled and not recipe.quantization.fallback_evaluations and budget != "min_sqnr_db":
        yield "quantization.fallback_evaluations=6"


def _gentler_cuts(recipe: Recipe, trained: bool) -> Iterator[str]:
    pruning, enabled = recipe.pruning, "pruning" in recipe.techniques
    if recipe.trains and trained:
        yield f"training.epochs={2 * recipe.training.epochs or max(4, pruning.steps)}"
    if enabled and pruning.residual == "prune" and pruning.goal != "channels":
        yield "pruning.residual=auto"
    if enabled:
        yield f"pruning.amount={STEP * pruning.amount:.2g}"
    if _shares(recipe):
        yield f"low_rank.amount={STEP * recipe.low_rank.amount:.2g}"


def _smaller(recipe: Recipe, prunable: bool) -> Iterator[str]:
    yield "quantization.enabled=true"
    if "pruning" in recipe.techniques and recipe.pruning.amount <= MOST:
        yield f"pruning.amount={1 - STEP * (1 - recipe.pruning.amount):.2g}"
    elif _shares(recipe) and recipe.low_rank.amount <= MOST:
        yield f"low_rank.amount={1 - STEP * (1 - recipe.low_rank.amount):.2g}"
    elif prunable and not recipe.trains:  # a student is derived from the budget itself
        yield "pruning.enabled=true"


def _shares(recipe: Recipe) -> bool:
    """Whether ``low_rank.amount`` is what decides the ranks."""
    return "low_rank" in recipe.techniques and recipe.low_rank.goal in ("macs", "parameters", "latency")


def _changes(recipe: Recipe, assignment: str) -> bool:
    """Whether an assignment is possible, and not made already."""
    try:
        return override(recipe, [assignment]) != recipe
    except RecipeError:
        return False
