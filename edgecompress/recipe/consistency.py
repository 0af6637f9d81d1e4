"""Whether the tables of a recipe hold together."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from edgecompress.errors import RecipeError

if TYPE_CHECKING:
    from edgecompress.recipe.tables import Recipe


def check_order(recipe: Recipe, stages: Mapping[str, int]) -> None:
    """Require that each enabled technique stands once in the order, and none before one of an earlier stage.

    Raises:
        RecipeError: it does not.
    """
    enabled = [name for name in stages if getattr(recipe, name).enabled]
    missing = [name for name in enabled if name not in recipe.order]
    if missing:
        raise RecipeError(f"{missing[0]!r} is enabled but not listed in 'order'; add it, or disable it")
    if idle := [name for name in recipe.options if name not in recipe.order]:
        raise RecipeError(f"'options.{idle[0]}' is for a technique that 'order' does not name; add it there")
    if len(set(recipe.order)) < len(recipe.order):
        raise RecipeError("a technique stands twice in 'order'; list each once")
    for first, second in pairwise(name for name in recipe.techniques if name in stages):
        if stages[first] > stages[second]:
            raise RecipeError(
                f"{first!r} stands before {second!r} in 'order'; compress progressively: pruning and low_rank, then"
                " distillation, then quantization"
            )


def check_steps(recipe: Recipe) -> None:
    """Require that training and distillation can do what the techniques ask of them.

    Raises:
        RecipeError: they cannot.
    """
    steps, epochs = recipe.pruning.steps, recipe.training.epochs
    if "pruning" in recipe.techniques and 0 < epochs < steps:
        raise RecipeError(f"'pruning.steps' is {steps}, 'training.epochs' {epochs}; give an epoch to each step")
    distillation = recipe.distillation
    layers = distillation.hints or distillation.attention or distillation.relations or distillation.block_weight
    if distillation.cache and layers:
        raise RecipeError(
            "'distillation.cache' keeps the teacher's outputs, not its layers; leave it out, or name no layers and"
            " set distillation.block_weight=0"
        )
    if "distillation" in recipe.techniques and not epochs:
        raise RecipeError("'training.epochs' is 0, and a student learns nothing without any; give at least 1")
