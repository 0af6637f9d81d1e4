"""Profiles: the four that come along, a user's own, and those that are wrong."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.bundle.outcome import recipe_file
from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import (
    TargetProfile,
    device_names,
    effective_profile,
    given_profile,
    load_profile,
    profile_names,
    strategy_names,
)
from edgecompress.targets.cpus import answers_differ
from tests.drawn_recipes import tables

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


DEVICES = {
    "raspberry-pi-4": ("edge", "armv8.0", "qnnpack"),
    "raspberry-pi-5": ("mobile", "armv8.2-dotprod", "qnnpack"),
    "android": ("mobile", "armv8.2-dotprod", "qnnpack"),
    "mini-pc": ("mobile", "x86-avx2", "fbgemm"),
    "vnni-server": ("edge", "x86-vnni", "qnnpack"),
    "browser": ("mobile", "wasm", "fbgemm"),
    "openvino-cpu": ("mobile", "x86-avx2", "fbgemm"),
    "snapdragon": ("mobile", "armv8.2-dotprod", "qnnpack"),
}


def test_there_are_no_others() -> None:
    assert set(strategy_names()) == set(STRATEGIES)
    assert set(device_names()) == set(DEVICES)
    assert profile_names() == [*strategy_names(), *device_names()]


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_follows_the_strategy_that_it_extends(name: str) -> None:
    parent, isa, scheme = DEVICES[name]
    profile = load_profile(name)
    assert (profile.strategy, profile.reason, profile.recipe.techniques) == STRATEGIES[parent]
    assert (profile.recipe.cpu.isa, profile.recipe.quantization.scheme) == (isa, scheme)
    assert not answers_differ(profile.recipe.cpu.isa, profile.recipe.quantization)


@pytest.mark.parametrize("name", [*STRATEGIES, *DEVICES])
def test_its_own_recipe_file_is_the_same_target(name: str, tmp_path: Path) -> None:
    profile = effective_profile(name, ["seed=3"])
    (tmp_path / "recipe.toml").write_text(recipe_file(profile))
    assert "extends" not in recipe_file(profile)
    assert load_profile(str(tmp_path / "recipe.toml")) == profile


def _read(path: Path) -> TargetProfile | str:
    try:
        return load_profile(str(path))
    except RecipeError as error:
        return str(error)


@given(tables(), st.sampled_from([*STRATEGIES, *DEVICES, "nowhere"]))
def test_a_drawn_file_comes_back_as_it_was_or_is_refused(tables: dict[str, Any], parent: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = (Path(folder) / name for name in ("drone.toml", "recipe.toml"))
        first.write_text(tomli_w.dumps({"extends": parent, **tables}))
        read = _read(first)
        if isinstance(read, str):
            assert re.match(r"target '.*drone\.toml': ", read), read
        else:
            second.write_text(recipe_file(read))
            assert load_profile(str(second)) == read


def test_a_user_s_own_file_may_leave_everything_out(tmp_path: Path) -> None:
    (tmp_path / "drone.toml").write_text("[quantization]\nenabled = true\n")
    profile = load_profile(str(tmp_path / "drone.toml"))
    assert (profile.name, profile.strategy) == ("drone", "custom")
    assert profile.recipe.techniques == ("quantization",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("quantization = ", "is not TOML"),
        ("extend = 'edge'\n", "unknown key 'extend'; did you mean 'extends'?"),
        ("[quantisation]\nenabled = true\n", "unknown key 'quantisation'; did you mean 'quantization"),
        ("name = 3\n", "expected text, got 3 in 'name'; put it in quotes"),
        ("[cpu]\nthreads = 'two'\n", "expected whole number, got 'two' in 'cpu.threads'"),
    ],
)
def test_a_wrong_file_names_its_fault(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "drone.toml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_profile(str(tmp_path / "drone.toml"))
    assert words in str(caught.value)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"choose one of cloud, edge, .*, vnni-server; did you mean 'realtime'\?"):
        load_profile("realtme")


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


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)


def test_a_file_changes_what_it_names_in_what_it_extends(tmp_path: Path) -> None:
    _write(
        tmp_path,
        drone='extends = "edge"\n[pruning]\namount = 0.4\n[budgets]\nmin_speedup = "none"\nmax_size_mb = 2.0\n',
    )
    drone, edge = load_profile(str(tmp_path / "drone.toml")), load_profile("edge")
    overrides = ["pruning.amount=0.4", "budgets.min_speedup=none", "budgets.max_size_mb=2.0"]
    assert drone.recipe == effective_profile("edge", overrides).recipe
    assert (drone.name, drone.strategy, drone.reason) == ("drone", edge.strategy, edge.reason)


def test_a_chain_of_files_goes_from_folder_to_folder(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    _write(tmp_path, common='extends = "mini-pc"\n[cpu]\nthreads = 3\nruns = 50\n')
    _write(tmp_path / "fleet", drone='extends = "../common.toml"\nreason = "flies"\n[cpu]\nruns = 60\n')
    drone = load_profile(str(tmp_path / "fleet" / "drone.toml"))
    assert (drone.recipe.cpu.isa, drone.recipe.cpu.threads, drone.recipe.cpu.runs) == ("x86-avx2", 3, 60)
    assert (drone.name, drone.strategy, drone.reason) == ("drone", "quantization", "flies")


def test_dynamic_axes_of_both_files_are_there(tmp_path: Path) -> None:
    _write(
        tmp_path,
        common='[export.dynamic_axes.ids]\n1 = "length"\n',
        own='extends = "common.toml"\n[export.dynamic_axes]\nids.2 = "width"\nmask.1 = "length"\n',
    )
    axes = load_profile(str(tmp_path / "own.toml")).recipe.export.dynamic_axes
    assert axes == {"ids": {"1": "length", "2": "width"}, "mask": {"1": "length"}}


def test_other_techniques_in_a_file_are_another_strategy_unless_it_says_which(tmp_path: Path) -> None:
    _write(tmp_path, one='extends = "edge"\n[pruning]\nenabled = false\n')
    _write(tmp_path, two='extends = "edge"\nstrategy = "integers"\n[pruning]\nenabled = false\n')
    first, two = load_profile(str(tmp_path / "one.toml")), load_profile(str(tmp_path / "two.toml"))
    assert (first.strategy, first.reason) == ("changed to quantization", "as one asks")
    assert (two.strategy, two.reason) == ("integers", "as two asks")


@pytest.mark.parametrize(
    ("files", "label", "words"),
    [
        ({"own": "extends = 'own.toml'"}, "own", "'extends' goes in a circle: {own} -> {own}; take one away"),
        (
            {"own": "extends = 'a.toml'", "a": "extends = 'b.toml'", "b": "extends = './a.toml'"},
            "b",
            "'extends' goes in a circle: {own} -> {a} -> {b} -> {a}; take one away",
        ),
        ({"own": "extends = 'egde'"}, "own", "'extends' names an unknown target 'egde'; choose one of cloud, "),
        ({"own": "extends = 'egde'"}, "own", "did you mean 'edge'?"),
        ({"own": "extends = 'gone.toml'"}, "own", "'extends' names 'gone.toml', and '{gone}' does not exist"),
        ({"own": "extends = 3"}, "own", "expected text, got 3 in 'extends'"),
        ({"own": "extends = 'a.toml'", "a": "[pruning]\namont = 0.4"}, "a", "unknown key 'pruning.amont'; did you"),
        ({"own": "extends = 'a.toml'", "a": "[cpu]\nthreads = 'two'"}, "a", "expected whole number, got 'two' in"),
        ({"own": "extends = 'a.toml'", "a": "prunning = 3"}, "a", "unknown key 'prunning'; did you mean 'pruning"),
        ({"own": "extends = 'edge'\npruning = 3"}, "own", "expected a table, got 3 in 'pruning'"),
        (
            {"own": "extends = 'edge'\norder = ['quantization', 'pruning']"},
            "own",
            "'quantization' stands before 'pruning' in 'order'; compress progressively",
        ),
        (
            {"own": "extends = 'edge'\norder = ['quantization']"},
            "own",
            "'pruning' is enabled but not listed in 'order'",
        ),
    ],
)
def test_a_fault_in_a_chain_names_the_file_it_is_in(
    tmp_path: Path, files: dict[str, str], label: str, words: str
) -> None:
    _write(tmp_path, **files)
    with pytest.raises(RecipeError) as caught:
        load_profile(str(tmp_path / "own.toml"))
    places = {name: str(tmp_path / f"{name}.toml") for name in ("own", "a", "b", "gone")}
    assert str(caught.value).startswith(f"target {places[label]!r}: ")
    assert words.format_map(places) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parent_that_is_no_toml_is_named(tmp_path: Path) -> None:
    _write(tmp_path, own="extends = 'a.toml'", a="pruning = ")
    with pytest.raises(RecipeError, match=r"a\.toml' is not TOML"):
        load_profile(str(tmp_path / "own.toml"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"name": 3}, "expected text, got 3 in 'name'; put it in quotes"),
        ({"reason": "\ud800"}, "the text in 'reason' is not UTF-8; write it anew"),
        ({"recipe": {}}, "expected a Recipe, got {} in 'recipe'; make it with parse_recipe"),
    ],
)
def test_a_profile_made_in_python_is_checked(change: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        replace(load_profile("edge"), **change)
    assert str(caught.value) == line


@given(tables())
def test_a_recipe_is_a_profile_of_its_own(tables: dict[str, Any]) -> None:
    try:
        recipe = Recipe(**tables)
    except RecipeError:
        return
    assert given_profile(None, recipe=recipe).recipe == recipe
    assert given_profile(None, ["seed=7"], recipe).recipe == recipe.model_copy(update={"seed": 7})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"target": "mobile", "recipe": Recipe()}, "a target has a recipe of its own; give target or recipe"),
        ({"target": None, "recipe": {}}, "expected a Recipe, got {} in 'recipe'; make it with parse_recipe"),
    ],
)
def test_what_is_no_recipe_or_not_the_only_one_is_told(given: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        given_profile(**given)
    assert str(caught.value) == line


@given(tables(), st.text(), st.text())
def test_a_profile_made_in_python_comes_back_from_its_file(tables: dict[str, Any], name: str, reason: str) -> None:
    try:
        profile = TargetProfile(name=name, strategy=reason, reason=reason, recipe=Recipe(**tables))
    except RecipeError:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.toml"
        file.write_text(recipe_file(profile))
        assert load_profile(str(file)) == profile


def test_a_key_that_is_unknown_is_told_in_the_caller_s_words(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("qqq = 1\n")
    for load, told in ((load_profile, "load_profile(NAME).recipe has"), (effective_profile, "targets show NAME lists")):
        with pytest.raises(RecipeError) as caught:
            load(str(own))
        assert str(caught.value) == f"target {str(own)!r}: unknown key 'qqq'; {told} the keys"
