"""What callers of ``validate`` and ``diff`` give in place of the recipe: limits, or ``none``, and timed runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecompress.recipe.arguments import whole
from edgecompress.recipe.meant import as_meant
from edgecompress.recipe.quantities import number_with_unit
from edgecompress.recipe.table import NONE
from edgecompress.recipe.tables import FEWEST_RUNS, Recipe

Limit = float | str
"""A number, also as a text with its unit; ``"none"`` drops the budget."""


def limits_asked(given: Mapping[str, Limit | None]) -> dict[str, Any]:
    """The limits that a caller gives, by their names: numbers, and None for a budget that is dropped.

    Args:
        given: None for what is left out; a text that is no number stays one, and is refused where it is read.

    >>> limits_asked({"max_size_mb": "300kB", "min_speedup": "none", "max_latency_ms": None, "max_slowdown": 5})
    {'max_size_mb': 0.3, 'min_speedup': None, 'max_slowdown': 5}
    """
    return {name: _read(name, limit) for name, limit in given.items() if limit is not None}


def timed(recipe: Recipe, runs: int | None) -> Recipe:
    """A recipe with as many timed runs; with its own where a caller asks for none.

    >>> timed(Recipe(), 1000).cpu.runs, timed(Recipe(), None).cpu.runs
    (1000, 100)
    """
    return recipe if runs is None else recipe.model_copy(update={"cpu": recipe.cpu.model_copy(update={"runs": runs})})


def checked_runs(runs: int | None) -> int | None:
    """Timed runs that a caller asks for, or None for those of the recipe.

    Raises:
        RecipeError: it is no whole number of at least 10.
    """
    return None if runs is None else whole("runs", runs, FEWEST_RUNS, f"give a whole number of at least {FEWEST_RUNS}")


def _read(name: str, limit: Limit) -> Any:
    if not isinstance(limit, str):
        return limit
    if limit.strip().lower() == NONE:
        return None
    meant = as_meant(f"budgets.{name}", limit)
    if not isinstance(meant, str):
        return meant
    number = number_with_unit(name, meant)
    try:
        return float(meant) if number is None else number
    except ValueError:
        return meant
