"""What is advised for a missed budget can be typed as it stands, and changes the recipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.overrides import override
from edgecompress.recipe import Budgets, Distillation, LowRank, Pruning, Quantization, Recipe, Training
from edgecompress.targets import load_profile, profile_names
from edgecompress.validation.remedies import ACCURACY, SIZE, SPEED, remedies

FLAGS, AMOUNTS = st.booleans(), st.floats(0.02, 0.95)
RECIPES = st.builds(
    Recipe,
    pruning=st.builds(
        Pruning,
        enabled=FLAGS,
        amount=AMOUNTS,
        residual=st.sampled_from(("prune", "keep", "auto")),
        multiple=st.sampled_from((4, 8, 16)),
        blocks=st.sampled_from((0.0, 0.34)),
    ),
    low_rank=st.builds(LowRank, enabled=FLAGS, amount=AMOUNTS, goal=st.sampled_from(("macs", "energy", "ratio"))),
    distillation=st.builds(Distillation, enabled=FLAGS),
    training=st.builds(Training, epochs=st.integers(0, 50)),
    quantization=st.builds(
        Quantization, enabled=FLAGS, adaround=FLAGS, bias_correction=FLAGS, fallback_evaluations=st.sampled_from((0, 6))
    ),
)


@given(RECIPES, st.sampled_from(sorted(Budgets.model_fields)))
def test_each_of_them_is_a_valid_assignment_that_changes_the_recipe(recipe: Recipe, budget: str) -> None:
    advised = remedies(budget, recipe)
    assert len(set(advised)) == len(advised)
    for assignment in advised:
        assert override(recipe, [assignment]) != recipe
    changed = override(recipe, advised)
    less, more = (changed, recipe) if budget in ACCURACY else (recipe, changed)
    assert less.pruning.amount <= more.pruning.amount
    assert less.low_rank.amount <= more.low_rank.amount


@pytest.mark.parametrize("name", sorted(profile_names()))
@pytest.mark.parametrize("budget", ACCURACY + SIZE + SPEED)
def test_every_profile_has_something_to_turn_for_what_it_can_miss(name: str, budget: str) -> None:
    profile = load_profile(name)
    settled = profile.recipe.techniques == ("quantization",) and budget in ACCURACY
    assert remedies(budget, profile.recipe) or settled


def test_what_was_turned_already_is_not_advised_again() -> None:
    recipe = Recipe(
        quantization=Quantization(enabled=True, adaround=True, bias_correction=True, fallback_evaluations=6)
    )
    assert remedies("max_accuracy_drop", recipe) == ()
    assert remedies("min_cpu_agreement", recipe) == ("quantization.scheme=fbgemm",)
    assert remedies("min_browser_agreement", recipe) == ()
