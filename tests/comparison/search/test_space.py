"""The space around a target holds its own recipe, and nothing that makes no sense for it."""

from __future__ import annotations

import random
from collections.abc import Collection

import pytest

from edgecompress.comparison.search.space import FreeKey, Setting, Space, make_space
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import effective_profile, load_profile, profile_names

ALL = ("calibration", "evaluation", "train")
WITHOUT = ("calibration", "evaluation")


def _drawn(space: Space, seed: int) -> dict[str, Setting]:
    generator = random.Random(seed)
    return space.settings(lambda choice: generator.choice(choice.values))


def _recipes(space: Space, count: int = 60) -> list[Recipe]:
    return [space.profile_of(_drawn(space, seed)).recipe for seed in range(count)]


@pytest.mark.parametrize("roles", [ALL, WITHOUT])
@pytest.mark.parametrize("name", profile_names())
def test_every_recipe_of_every_space_is_valid_and_the_targets_own_is_among_them(
    name: str, roles: Collection[str]
) -> None:
    profile = load_profile(name)
    space = make_space(profile, roles)
    own = space.profile_of(space.own()).recipe
    assert own.techniques == profile.recipe.techniques
    for technique in own.techniques:
        assert getattr(own, technique) == getattr(profile.recipe, technique)
    assert all(recipe.techniques for recipe in _recipes(space))


@pytest.mark.parametrize("roles", [ALL, WITHOUT])
@pytest.mark.parametrize("name", profile_names())
def test_what_is_tried_first_is_of_the_space_and_differs_from_the_targets_own_only_in_what_is_taken_away(
    name: str, roles: Collection[str]
) -> None:
    space = make_space(load_profile(name), roles)
    first, *others = space.starts()
    assert first == space.own()
    recipes = [space.profile_of(settings).recipe for settings in (first, *others)]
    assert len({recipe.model_dump_json() for recipe in recipes}) == len(recipes)
    shares = {f"{technique}.{key}" for technique in ("pruning", "low_rank") for key in ("enabled", "amount", "spread")}
    for settings in others:
        for key in settings.keys() & first.keys() - shares - {"quantization.enabled"}:
            assert settings[key] == first[key]
        for choice in space.free:
            kept = all(settings.get(key, space.value(key)) == value for key, value in choice.when.items())
            assert settings[choice.key] in choice.values if kept else True


def test_edge_begins_with_its_own_recipe_then_none_then_the_middle_and_the_least_of_each_share() -> None:
    keys = ("pruning.enabled", "low_rank.enabled")
    trained = make_space(load_profile("edge"), ALL).starts()
    assert [tuple(settings.get(key) for key in keys) for settings in trained] == [
        *((True, None), (False, False), (True, None), (False, True), (True, None), (False, True)),
    ]
    taken = [settings.get("pruning.amount", settings.get("low_rank.amount")) for settings in trained]
    assert taken == [0.5, None, 0.4, 0.4, 0.1, 0.1]
    without = make_space(load_profile("edge"), WITHOUT).starts()
    assert [settings.get("pruning.amount") for settings in without] == [0.5, None, 0.3, 0.1]
    assert len(make_space(load_profile("mobile"), WITHOUT).starts()) == 1
    fixed = make_space(effective_profile("edge", ["pruning.amount=0.2"]), WITHOUT, fixed=("pruning.amount",))
    assert [fixed.profile_of(settings).recipe.pruning.enabled for settings in fixed.starts()] == [True, False]


def test_with_training_data_there_is_pruning_low_rank_float_and_integers() -> None:
    found = {recipe.techniques for recipe in _recipes(make_space(load_profile("mobile"), ALL))}
    assert found == {
        *{("pruning",), ("low_rank",), ("quantization",)},
        *{("pruning", "quantization"), ("low_rank", "quantization")},
    }


def test_without_training_data_only_what_the_target_prunes_is_pruned_and_no_further() -> None:
    assert {recipe.techniques for recipe in _recipes(make_space(load_profile("mobile"), WITHOUT))} == {
        ("quantization",)
    }
    recipes = _recipes(make_space(load_profile("edge"), WITHOUT))
    assert {recipe.techniques for recipe in recipes} == {("quantization",), ("pruning",), ("pruning", "quantization")}
    assert max(recipe.pruning.amount for recipe in recipes) == load_profile("edge").recipe.pruning.amount
    assert {recipe.quantization.training for recipe in recipes} == {"if_missed"}


def test_only_a_module_is_pruned() -> None:
    for target in ("mobile", "edge"):
        recipes = _recipes(make_space(load_profile(target), ALL, module=False))
        assert {recipe.techniques for recipe in recipes} == {("quantization",)}


def test_amounts_stay_sane() -> None:
    recipes = _recipes(make_space(effective_profile("edge", ["pruning.warn_above=0.4"]), ALL), 200)
    amounts = {recipe.pruning.amount for recipe in recipes}
    assert amounts == {0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5}  # the last is the target's own


@pytest.mark.parametrize(
    ("most", "own", "values", "step"),
    [
        (0.12, 0.05, (0.05, 0.1), 0.05),
        (0.2, 0.05, (0.05, 0.1, 0.15, 0.2), 0.05),
        (0.2, 0.12, (0.1, 0.12, 0.15, 0.2), None),
        (0.2, 0.3, (0.1, 0.15, 0.2, 0.3), None),
        (0.05, 0.3, (0.3,), None),
    ],
)
def test_amounts_stand_in_their_order_with_the_targets_own_among_them(
    most: float, own: float, values: tuple[float, ...], step: float | None
) -> None:
    profile = effective_profile("edge", [f"pruning.warn_above={most}", f"pruning.amount={own}"])
    found = next(choice for choice in make_space(profile, ALL).free if choice.key == "pruning.amount")
    assert (found.values, found.step) == (values, step)


def test_what_the_user_set_stays() -> None:
    fixed = ["pruning.amount=0.33", "quantization.observer=mse"]
    space = make_space(effective_profile("edge", fixed), ALL, fixed=("pruning.amount", "quantization.observer"))
    recipes = _recipes(space)
    assert {(recipe.pruning.amount, recipe.quantization.observer) for recipe in recipes} == {(0.33, "mse")}


def test_a_technique_that_the_target_leaves_off_has_the_settings_of_edge() -> None:
    edge, space = load_profile("edge").recipe, make_space(load_profile("mobile"), ALL)
    pruned = next(recipe for recipe in _recipes(space) if recipe.pruning.enabled)
    assert (pruned.pruning.goal, pruned.pruning.multiple) == (edge.pruning.goal, edge.pruning.multiple)
    assert pruned.training.learning_rate == edge.training.learning_rate
    told = make_space(effective_profile("mobile", ["pruning.multiple=4"]), ALL)
    assert told.profile.recipe.pruning.multiple == 4


def test_no_scheme_that_gives_other_answers_on_the_targets_cpu() -> None:
    saturating = make_space(effective_profile("edge", ["cpu.isa=x86-avx2"]), ALL)
    assert {recipe.quantization.scheme for recipe in _recipes(saturating)} == {"fbgemm"}
    anywhere = make_space(load_profile("edge"), ALL)
    assert {recipe.quantization.scheme for recipe in _recipes(anywhere)} == {"fbgemm", "qnnpack"}


def test_an_npu_keeps_its_own_integers() -> None:
    own = load_profile("snapdragon").recipe.quantization
    recipes = _recipes(make_space(load_profile("snapdragon"), WITHOUT))
    assert {(recipe.quantization.scheme, recipe.quantization.enabled) for recipe in recipes} == {(own.scheme, True)}


def test_a_student_is_cut_for_its_latency_alone() -> None:
    recipes = _recipes(make_space(load_profile("realtime"), ALL))
    assert {recipe.techniques for recipe in recipes} == {("distillation",), ("distillation", "quantization")}


def test_words_have_no_step() -> None:
    assert FreeKey(key="k", values=(True, False)).step is None
    assert FreeKey(key="k", values=(0.1, 0.2, 0.4)).step is None
