"""A recipe that was written down: what it names may be of packages that are not installed here.

Who reads it finds out what the run needs; the rest is told, a line for each name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.recipe.elsewhere import Validation
from edgecompress.recipe.tables import Evaluation, Pruning, Quantization, Recipe, Training
from edgecompress.registry import KINDS, Kind, is_known, missing, require_known


class RecordedPruning(Pruning):
    """Its table with any criterion."""

    importance: str = "l2"


class RecordedTraining(Training):
    """Its table with any loss."""

    loss: str | None = None


class RecordedEvaluation(Evaluation):
    """Its table with any metric."""

    metric: str = "top1"


class RecordedQuantization(Quantization):
    """Its table with any observer."""

    observer: str = "histogram"


class RecordedValidation(Validation):
    """Its table with any runtimes."""

    on: tuple[str, ...] | None = None


class RecordedRecipe(Recipe):
    """A recipe, valid in all else than whether something has the names of observers, criteria, metrics and so on."""

    order: tuple[str, ...] = Recipe.model_fields["order"].default
    pruning: RecordedPruning = RecordedPruning()
    training: RecordedTraining = RecordedTraining()
    evaluation: RecordedEvaluation = RecordedEvaluation()
    quantization: RecordedQuantization = RecordedQuantization()
    validation: RecordedValidation = RecordedValidation()


def read_recorded(tables: Mapping[str, Any]) -> RecordedRecipe:
    """Validate the nested tables of a record.

    Raises:
        RecipeError: a key is unknown or a value has the wrong type; the message holds the key's path.

    >>> read_recorded({"pruning": {"importance": "theirs"}}).pruning.importance
    'theirs'
    """
    return RecordedRecipe(**tables)


def missing_names(recipe: Recipe) -> tuple[str, ...]:
    """A line for each name in a recipe that nothing has here, with what to install.

    >>> missing_names(Recipe())
    ()
    """
    return tuple(dict.fromkeys(missing(kind, name) for kind, name in _unknown(recipe)))


def require_names(recipe: Recipe, before: Recipe) -> None:
    """Require that something has each name in a recipe that was not in an earlier form of it.

    Raises:
        RecipeError: nothing has one; the message holds the key's path and the nearest name.
    """
    known = set(_unknown(before))
    for kind, name in _unknown(recipe):
        if (kind, name) not in known:
            try:
                require_known(kind, name)
            except ValueError as error:
                raise RecipeError(str(error)) from None


def _unknown(recipe: Recipe) -> Iterator[tuple[Kind, str]]:
    tables = recipe.model_dump()
    for kind in KINDS:
        yield from ((kind, name) for name in _names(tables, kind.key) if not is_known(kind, name))


def _names(tables: Any, key: str) -> tuple[str, ...]:
    """What stands in a key: one name, several, or none."""
    for part in key.split("."):
        tables = tables[part]
    return (tables,) if isinstance(tables, str) else tuple(tables or ())
