"""A recipe on its way to TOML: as text, and as nested tables. It comes back by ``parse_recipe`` (``tables.py``)."""

from __future__ import annotations

from typing import Any

import tomli_w

from edgecompress.recipe.table import NONE
from edgecompress.recipe.tables import Recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, every key written out; reading it back gives an equal recipe."""
    return tomli_w.dumps(recipe_tables(recipe))


def recipe_tables(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested tables, every key that has a value or lacks the one it has by default (``none``).

    A table without such a key is left out.

    >>> from edgecompress.recipe.tables import Training
    >>> recipe_tables(Recipe(training=Training(average_decay=None)))["training"]["average_decay"]
    'none'
    """
    defaults = Recipe().model_dump(mode="json")
    tables = {key: _valued(value, defaults[key]) for key, value in recipe.model_dump(mode="json").items()}
    return {key: table for key, table in tables.items() if table != {}}


def _valued(value: Any, default: Any) -> Any:
    if not isinstance(value, dict) or not default:
        return value
    return {
        key: NONE if entry is None else entry
        for key, entry in value.items()
        if entry is not None or default[key] is not None
    }
