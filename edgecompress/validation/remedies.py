"""What to change in a recipe when a budget is missed."""

from __future__ import annotations

from collections.abc import Iterator

from edgecompress.recipe import Recipe

ACCURACY = ("max_accuracy_drop", "min_sqnr_db")
SPEED = ("min_speedup", "max_latency_ms", "max_latency_p95_ms", "max_latency_p99_ms")
SIZE = ("min_compression_ratio", "max_size_mb")
STEP = 0.8
"""What is asked for next, of an amount that took too much, and of what an amount left that took too little."""


def remedies(budget: str, recipe: Recipe) -> tuple[str, ...]:
    """Assignments for ``--set`` of which each moves the measure of a budget the right way, the cheapest first.

    >>> from edgecompress.recipe import Pruning
    >>> remedies("min_speedup", Recipe(pruning=Pruning(enabled=True, amount=0.5)))
    ('quantization.enabled=true', 'pruning.amount=0.6', 'pruning.blocks=0.25')
    >>> remedies("max_accuracy_drop", Recipe(pruning=Pruning(enabled=True, amount=0.5, residual="keep")))
    ('training.epochs=8', 'pruning.amount=0.4')
    """
    if budget in ACCURACY:
        return (*_finer_integers(budget, recipe), *_gentler_cuts(recipe))
    if budget in SPEED + SIZE:
        return (*_smaller(recipe), *(_faster(recipe) if budget in SPEED else ()))
    if budget == "min_cpu_agreement" and recipe.quantization.scheme != "fbgemm":
        return ("quantization.scheme=fbgemm",)
    return ()


def _finer_integers(budget: str, recipe: Recipe) -> Iterator[str]:
    asked = recipe.quantization
    if asked.enabled and not asked.bias_correction:
        yield "quantization.bias_correction=true"
    if asked.enabled and not asked.adaround:
        yield "quantization.adaround=true"
    if asked.enabled and not asked.fallback_evaluations and budget == "max_accuracy_drop":
        yield "quantization.fallback_evaluations=6"


def _gentler_cuts(recipe: Recipe) -> Iterator[str]:
    if recipe.trains:
        yield f"training.epochs={2 * recipe.training.epochs or 4}"
    if recipe.pruning.enabled and recipe.pruning.residual == "prune":
        yield "pruning.residual=auto"
    if recipe.pruning.enabled and recipe.pruning.amount:
        yield f"pruning.amount={STEP * recipe.pruning.amount:.2g}"
    if _shares(recipe) and recipe.low_rank.amount:
        yield f"low_rank.amount={STEP * recipe.low_rank.amount:.2g}"


def _smaller(recipe: Recipe) -> Iterator[str]:
    if not recipe.quantization.enabled:
        yield "quantization.enabled=true"
    if recipe.pruning.enabled:
        yield f"pruning.amount={_more(recipe.pruning.amount)}"
    elif _shares(recipe):
        yield f"low_rank.amount={_more(recipe.low_rank.amount)}"
    elif not recipe.distillation.enabled:  # a student is derived from the budget itself
        yield "pruning.enabled=true"


def _faster(recipe: Recipe) -> Iterator[str]:
    if recipe.pruning.enabled and recipe.pruning.multiple < 16:
        yield "pruning.multiple=16"
    if recipe.pruning.enabled and not recipe.pruning.blocks:
        yield "pruning.blocks=0.25"


def _more(amount: float) -> str:
    return f"{min(1 - STEP * (1 - amount), 0.99):.2g}"


def _shares(recipe: Recipe) -> bool:
    """Whether ``low_rank.amount`` is what decides the ranks."""
    return recipe.low_rank.enabled and recipe.low_rank.goal in ("macs", "parameters", "latency")
