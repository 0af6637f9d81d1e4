"""Profiles: the four that come along, a user's own, and those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.errors import RecipeError
from edgecompress.outcome import recipe_file
from edgecompress.targets import effective_profile, load_profile, profile_names

STRATEGIES = {
    "mobile": ("quantization", "much smaller model", ("quantization",)),
    "edge": ("pruning, then quantization", "both effects together", ("pruning", "quantization")),
    "realtime": ("distillation", "keeps accuracy", ("distillation",)),
    "cloud": ("pruning", "less computation", ("pruning",)),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_target_follows_the_strategy_of_the_table(name: str) -> None:
    profile = load_profile(name)
    assert (profile.strategy, profile.reason, profile.recipe.techniques) == STRATEGIES[name]
    assert profile.recipe.budgets.max_accuracy_drop is not None


def test_there_are_no_others() -> None:
    assert set(profile_names()) == set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_its_own_recipe_file_is_the_same_target(name: str, tmp_path: Path) -> None:
    profile = effective_profile(name, ["seed=3"])
    (tmp_path / "recipe.toml").write_text(recipe_file(profile))
    assert load_profile(str(tmp_path / "recipe.toml")) == profile


def test_a_user_s_own_file_may_leave_everything_out(tmp_path: Path) -> None:
    (tmp_path / "drone.toml").write_text("[quantization]\nenabled = true\n")
    profile = load_profile(str(tmp_path / "drone.toml"))
    assert (profile.name, profile.strategy) == ("drone", "custom")
    assert profile.recipe.techniques == ("quantization",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("quantization = ", "is not TOML"),
        ("[quantisation]\nenabled = true\n", "unknown key 'quantisation'; did you mean 'quantization"),
        ("name = 3\n", "expected text, got 3 in 'name'"),
        ("[cpu]\nthreads = 'two'\n", "expected whole number, got 'two' in 'cpu.threads'"),
    ],
)
def test_a_wrong_file_names_its_fault(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "drone.toml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_profile(str(tmp_path / "drone.toml"))
    assert words in str(caught.value)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"choose one of cloud, edge, mobile, realtime; did you mean 'realtime'\?"):
        load_profile("real-time")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(RecipeError, match=r"target file 'absent\.toml' does not exist"):
        load_profile("absent.toml")


@pytest.mark.parametrize(
    ("name", "assignments", "strategy"),
    [
        ("cloud", ["pruning.enabled=false", "quantization.enabled=true"], "changed to quantization"),
        ("cloud", ["quantization.enabled=true"], "changed to pruning, then quantization"),
        ("mobile", ["quantization.enabled=false"], "changed to no technique"),
        ("mobile", ["low_rank.enabled=true"], "changed to low rank, then quantization"),
    ],
)
def test_other_techniques_are_another_strategy(name: str, assignments: list[str], strategy: str) -> None:
    profile = effective_profile(name, assignments)
    assert (profile.name, profile.strategy, profile.reason) == (name, strategy, "as the overrides ask")


def test_the_same_techniques_are_the_same_strategy() -> None:
    profile = effective_profile("mobile", ["quantization.scheme=fbgemm", "quantization.enabled=true"])
    assert (profile.strategy, profile.reason) == ("quantization", "much smaller model")
