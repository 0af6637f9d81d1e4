"""What callers give in place of the recipe: limits, also as texts or ``none``, and timed runs."""

from __future__ import annotations

import math

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.limits import checked_runs, limits_asked, timed
from edgecompress.recipe.tables import Cpu, Recipe


@pytest.mark.parametrize("name", [*Budgets.model_fields, "max_slowdown"])
def test_none_is_not_left_out(name: str) -> None:
    assert limits_asked({name: None}) == {}
    assert limits_asked({name: "none"}) == limits_asked({name: " None"}) == {name: None}


def test_texts_are_read_in_the_unit_of_their_budget() -> None:
    given = {"max_size_mb": "300kB", "max_latency_ms": "1.5s", "min_metric_kept": "99%", "max_slowdown": "5%"}
    read = {"max_size_mb": 0.3, "max_latency_ms": 1500.0, "min_metric_kept": 0.99, "max_slowdown": 5.0}
    assert limits_asked(given) == read
    assert limits_asked(read) == read
    assert limits_asked({"min_speedup": "inf", "max_slowdown": "1_000"}) == {
        "min_speedup": math.inf,
        "max_slowdown": 1e3,
    }
    assert limits_asked({"max_slowdown": "slow", "max_size_mb": "5ms"}) == {
        "max_slowdown": "slow",
        "max_size_mb": "5ms",
    }


def test_runs_take_the_place_of_the_recipe_s() -> None:
    assert timed(Recipe(), checked_runs(10)) == Recipe(cpu=Cpu(runs=10))
    assert timed(Recipe(), checked_runs(None)) == Recipe()
    for runs in (9, 10.5, True):
        with pytest.raises(RecipeError, match="give a whole number of at least 10"):
            checked_runs(runs)  # type: ignore[arg-type]
