"""What is advised for a missed budget can be typed as it stands, and changes the recipe the right way."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Quantization, Recipe, parse_recipe
from edgecompress.targets import load_profile, profile_names
from edgecompress.validation.budgets import OF_QUALITY
from edgecompress.validation.remedies import SMALL_AND_FAST, remedies
from tests.drawn_recipes import tables

FLAGS = st.booleans()


@given(tables(), st.sampled_from(sorted(Budgets.model_fields)), FLAGS, FLAGS)
def test_each_is_an_option_that_changes_the_recipe(drawn: object, budget: str, trained: bool, prunable: bool) -> None:
    try:
        recipe = parse_recipe(drawn)  # type: ignore[arg-type]
    except RecipeError:
        assume(False)
    advised = remedies(budget, recipe, trained=trained, prunable=prunable)
    assert len(set(advised)) == len(advised)
    for option, _, value in (each.partition(" ") for each in advised):
        if option == "--train":
            assert recipe.trains
            assert not trained
            continue
        changed = override(recipe, [value])
        assert (option, changed != recipe) == ("--set", True)
        less, more = (changed, recipe) if budget in OF_QUALITY else (recipe, changed)
        assert less.pruning.amount <= more.pruning.amount
        assert less.low_rank.amount <= more.low_rank.amount
        assert prunable or changed.pruning.enabled == recipe.pruning.enabled


@pytest.mark.parametrize("name", sorted(profile_names()))
@pytest.mark.parametrize("budget", OF_QUALITY + SMALL_AND_FAST)
def test_every_profile_has_something_to_turn_for_what_it_can_miss(name: str, budget: str) -> None:
    recipe = load_profile(name).recipe
    settled = recipe.techniques == ("quantization",) and budget in OF_QUALITY
    assert remedies(budget, recipe, trained=True, prunable=True) or settled


def test_what_was_turned_already_or_cannot_be_is_not_advised() -> None:
    recipe = Recipe(
        quantization=Quantization(enabled=True, adaround=True, bias_correction=True, fallback_evaluations=6)
    )
    assert remedies("max_accuracy_drop", recipe, trained=False, prunable=True) == ()
    assert remedies("min_cpu_agreement", recipe, trained=False, prunable=True) == ("--set quantization.scheme=fbgemm",)
    assert remedies("min_browser_agreement", recipe, trained=False, prunable=True) == ()
    assert remedies("min_speedup", recipe, trained=False, prunable=False) == ()
    assert remedies("min_speedup", recipe, trained=False, prunable=True) == ("--set pruning.enabled=true",)
