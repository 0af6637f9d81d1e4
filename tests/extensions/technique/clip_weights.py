"""A technique of a package of its own: weights beyond so many standard deviations of their layer are clipped."""

from __future__ import annotations

import copy

import torch
from torch import nn

from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Recipe
from edgecompress.step import Step, StepResult
from edgecompress.techniques.context import Context

DEFAULT = 3.0


def plan_steps(recipe: Recipe, _teacher: nn.Module | None) -> tuple[Step, ...]:
    """The step that clips."""
    return (Step(name="clip", what=f"weights beyond {_deviations(recipe):g} standard deviations", run=clip),)


def clip(module: nn.Module, context: Context) -> StepResult[nn.Module]:
    """A copy with clipped weights."""
    model, deviations, clipped = copy.deepcopy(module), _deviations(context.recipe), 0
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                limit = float(deviations * parameter.std())
                clipped += int((parameter.abs() > limit).sum())
                parameter.clamp_(-limit, limit)
    return StepResult(model=model, changes=(f"{clipped} weights were clipped",), metrics={"clipped_weights": clipped})


def _deviations(recipe: Recipe) -> float:
    asked = recipe.options.get("clip_weights", {}).get("deviations", DEFAULT)
    if isinstance(asked, str) or asked <= 0:
        raise RecipeError(f"expected a number above 0, got {asked!r} in 'options.clip_weights.deviations'")
    return float(asked)
