"""What a technique is: from a recipe to the steps that it adds to the plan.

Each technique is a file of ``steps/`` with a function ``plan_steps``, named as its table in the recipe; other packages
register theirs as entry points of ``edgecompress.techniques`` (:mod:`edgecompress.registry`). A recipe puts those into
``order``, and tells them what they want to know in ``options.NAME``.

A step without ``min_sqnr_db`` is given the PyTorch module in evaluation mode, before it is exported, and may make
another network of it. A step with it is given the canonical ONNX model, and the run stops where its outputs agree less
with what came in. Neither modifies what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import nn

from edgecompress.errors import ModelError, RecipeError, a_kind
from edgecompress.recipe.tables import STAGES, Recipe
from edgecompress.registry import TECHNIQUES, NamedFunction, choose
from edgecompress.runtime import Network
from edgecompress.step import Step

Technique = Callable[[Recipe, nn.Module | None], tuple[Step, ...]]
"""From the recipe and the teacher that was given, None for the network itself, to the steps, in order."""


def technique_steps(network: Network, recipe: Recipe, teacher: nn.Module | None) -> tuple[Step, ...]:
    """The steps of all techniques of a recipe, in its order.

    Raises:
        ModelError: a step works on the PyTorch module, and the network is none.
        RecipeError: a package that registers one of them is broken.
    """
    found: list[Step] = []
    for name in recipe.techniques:
        for step in _steps(name, recipe, teacher):
            if step.on_module and not isinstance(network, nn.Module):
                without = f"set {name}.enabled=false" if name in STAGES else "take it out of 'order'"
                told = name.replace("_", " ")
                raise ModelError(f"{told} needs the PyTorch module; give file.py:callable, or {without}")
            found.append(step)
    return tuple(found)


def _steps(name: str, recipe: Recipe, teacher: nn.Module | None) -> Iterator[Step]:
    """The steps of a technique; what one of another package raises is told with its name."""
    plan_steps = choose(TECHNIQUES, name)
    planned = plan_steps(recipe, teacher)
    for step in planned if isinstance(planned, tuple) else (planned,):
        if not isinstance(step, Step):
            raise RecipeError(f"{plan_steps.told} gives {a_kind(step)} as a step; let it give a tuple of steps")
        yield step if name in STAGES else replace(step, run=NamedFunction(plan_steps.told, step.run))
