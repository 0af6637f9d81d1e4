"""The loss of a run, as a recipe names it or as a Python caller hands it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.loading.own_loss import own_loss
from edgecompress.loading.user_code import folder_of, importable, resolve
from edgecompress.recipe.tables import Training
from edgecompress.registry import LOSSES, built_in, find
from edgecompress.training.losses import BY_TASK, TargetLoss, named_loss

LossOrName = str | Callable[..., Any]
"""A name, ``file.py:callable``, a function ``(outputs, targets) -> scalar``, an object that is called so, its class."""


def open_loss(training: Training, given: LossOrName | None = None) -> TargetLoss:
    """What training minimizes.

    Args:
        training: ``loss`` names it; where it names none, ``task`` does.
        given: the function or the object in place of what is named.

    Raises:
        RecipeError: there is no such loss, or it cannot be made.
    """
    name = training.loss or BY_TASK[training.task]
    return replace(find_loss(name, given), ignore_index=training.ignore_index)


def find_loss(name: str, given: LossOrName | None = None) -> TargetLoss:
    """The loss of that name, or the one that was handed over under it.

    Raises:
        RecipeError: there is no such loss, or it cannot be made.
    """
    if given is not None and not isinstance(given, str):
        return own_loss(given, name)
    if name in built_in(LOSSES):
        return named_loss(name)
    if ":" not in name:
        return own_loss(find(LOSSES, name), name)
    with importable(folder_of(name)):
        return own_loss(resolve(name, RecipeError, "loss"), name)
