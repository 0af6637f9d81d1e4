"""What is advised for a missed budget can be typed as it stands, and changes the recipe the right way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Quantization, Recipe, parse_recipe
from edgecompress.targets import effective_profile, load_profile, profile_names
from edgecompress.validation.budgets import OF_QUALITY
from edgecompress.validation.remedies import SMALL_AND_FAST, Run, remedies
from tests.drawn_recipes import tables

FLAGS = st.booleans()


ALL = ("calibration", "evaluation", "train")
TRAINED = "--set quantization.training=always"


@given(
    tables(),
    st.sampled_from(sorted(Budgets.model_fields)),
    st.sets(st.sampled_from(ALL)),
    FLAGS,
    st.sets(st.sampled_from(["quantization.enabled", "pruning.enabled", "quantization.adaround", "training.epochs"])),
)
def test_each_is_an_option_that_changes_the_recipe(
    drawn: object, budget: str, roles: set[str], prunable: bool, chosen: set[str]
) -> None:
    try:
        recipe = parse_recipe(drawn)  # type: ignore[arg-type]
    except RecipeError:
        assume(False)
    run = Run(recipe=recipe, roles=roles, chosen=chosen, possible=lambda asked: prunable or not asked.pruning.enabled)
    advised = remedies(budget, run)
    assert len(set(advised)) == len(advised)
    for words in map(str.split, advised):
        if words[0] == "--calibration":
            assert words.pop(0) not in roles
            assert words.pop(0) == "DATA"
        if words[0] == "--train":
            assert recipe.training.epochs
            assert "train" not in roles
            if words == ["--train", "DATA"]:
                assert recipe.trains
                continue
        learns = words[0] == "--train"
        words = words[2:] if learns else words
        changed = override(recipe, [words[1]])
        cut = max(changed.pruning.amount - recipe.pruning.amount, changed.low_rank.amount - recipe.low_rank.amount)
        cut += changed.pruning.enabled and not recipe.pruning.enabled
        assert learns is (cut > 0 and "train" not in roles and recipe.training.epochs > 0)
        assert changed.quantization == recipe.quantization or changed.quantization.enabled
        assert (words[0], changed != recipe) == ("--set", True)
        less, more = (changed, recipe) if budget in OF_QUALITY else (recipe, changed)
        assert less.pruning.amount <= more.pruning.amount
        assert less.low_rank.amount <= more.low_rank.amount
        assert prunable or not changed.pruning.enabled
        switched_off = {"quantization.enabled", "pruning.enabled", "quantization.adaround"} & chosen
        assert words[1].removesuffix("=true") not in switched_off


@pytest.mark.parametrize("name", sorted(profile_names()))
@pytest.mark.parametrize("budget", OF_QUALITY + SMALL_AND_FAST)
def test_every_profile_has_something_to_turn_for_what_it_can_miss(name: str, budget: str) -> None:
    recipe = load_profile(name).recipe
    settled = recipe.techniques == ("quantization",) and budget in OF_QUALITY
    assert remedies(budget, Run(recipe=recipe, roles=ALL)) or settled


def test_what_was_turned_already_or_cannot_be_is_not_advised() -> None:
    recipe = Recipe(
        quantization=Quantization(enabled=True, adaround=True, bias_correction=True, fallback_evaluations=6)
    )
    run = Run(recipe=recipe, roles=("calibration",))
    assert remedies("max_accuracy_drop", run) == ()
    assert remedies("min_cpu_agreement", run) == ("--set quantization.scheme=fbgemm",)
    assert remedies("min_browser_agreement", run) == ()
    assert remedies("min_speedup", replace(run, possible=lambda _: False)) == ()
    assert remedies("min_speedup", run) == ("--train DATA --set pruning.enabled=true",)


@pytest.mark.parametrize(
    ("assignments", "budget", "told"),
    [
        (["quantization.enabled=false"], "min_speedup", ("--set pruning.enabled=true",)),
        (["quantization.enabled=false", "pruning.enabled=false"], "max_size_mb", ()),
        (["quantization.training=never"], "max_accuracy_drop", ()),
        (["quantization.adaround=false"], "max_accuracy_drop", (TRAINED,)),
        (["quantization.fallback_evaluations=0"], "max_accuracy_drop", (TRAINED,)),
        (["pruning.enabled=true", "training.epochs=0"], "max_accuracy_drop", (TRAINED, "--set pruning.amount=0.4")),
        (["pruning.enabled=true", "pruning.amount=0.3"], "max_accuracy_drop", (TRAINED, "training.epochs=8", "0.24")),
    ],
)
def test_nothing_is_advised_that_the_user_switched_off(
    assignments: list[str], budget: str, told: tuple[str, ...]
) -> None:
    recipe = effective_profile("mobile", assignments).recipe
    found = remedies(budget, Run(recipe=recipe, roles=ALL, chosen=[each.partition("=")[0] for each in assignments]))
    assert len(found) == len(told)
    assert all(advised.endswith(end) for advised, end in zip(found, told, strict=True))


def test_integers_are_advised_with_the_data_that_they_need() -> None:
    run = Run(recipe=load_profile("cloud").recipe, roles=("evaluation",))
    assert remedies("min_speedup", run)[0] == "--calibration DATA --set quantization.enabled=true"
    assert remedies("min_speedup", replace(run, roles=ALL))[0] == "--set quantization.enabled=true"


def test_what_is_cut_is_advised_with_the_data_that_it_is_trained_on() -> None:
    run = Run(recipe=load_profile("mobile").recipe, roles=("calibration",))
    assert remedies("min_speedup", run) == ("--train DATA --set pruning.enabled=true",)
    assert remedies("min_speedup", replace(run, roles=ALL)) == ("--set pruning.enabled=true",)
    untrained = override(run.recipe, ["training.epochs=0"])  # as the user wants it
    assert remedies("min_speedup", replace(run, recipe=untrained)) == ("--set pruning.enabled=true",)
    thinner = override(Recipe(), ["low_rank.enabled=true", "low_rank.amount=0.5"])
    assert remedies("min_speedup", Run(recipe=thinner, roles=("calibration",)))[-1] == (
        "--train DATA --set low_rank.amount=0.6"
    )
    assert "--set low_rank.amount=0.4" in remedies("max_accuracy_drop", Run(recipe=thinner, roles=("calibration",)))


@pytest.mark.parametrize("budget", ["min_cpu_agreement", "max_cpu_nodes", "min_npu_share"])
def test_how_integers_are_made_is_advised_for_integers_only(budget: str) -> None:
    assert remedies(budget, Run(recipe=Recipe(), roles=ALL)) == ()
    assert remedies(budget, Run(recipe=Recipe(quantization=Quantization(enabled=True)), roles=ALL))


def test_a_file_that_is_mostly_its_graph_gets_no_smaller() -> None:
    run = Run(recipe=load_profile("mobile").recipe, roles=ALL)
    assert remedies("max_size_mb", replace(run, size_bytes=19_000)) == ()
    assert remedies("max_size_mb", replace(run, size_bytes=21_000)) == ("--set pruning.enabled=true",)
    assert remedies("min_speedup", replace(run, size_bytes=19_000)) == ("--set pruning.enabled=true",)
