"""Where each value of an effective profile comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import key_paths
from edgecompress.recipe.toml import recipe_tables
from edgecompress.registry import CRITERIA, RUNTIMES, missing
from edgecompress.targets import effective_profile, given_profile, load_profile, profile_names, recorded_profile
from edgecompress.targets.provenance import explain_profile


def _sources(target: str, *assignments: str) -> dict[str, str]:
    return {".".join(value.path): value.source for value in explain_profile(target, assignments).values}


@pytest.mark.parametrize("name", profile_names())
def test_every_value_has_a_source_and_the_profile_is_the_effective_one(name: str) -> None:
    explained = explain_profile(name, ["seed=4"])
    effective = effective_profile(name, ["seed=4"])
    assert recipe_tables(explained.profile.recipe) == recipe_tables(effective.recipe)
    assert replace(explained.profile, recipe=effective.recipe) == effective
    assert {value.source for value in explained.values} == {"default", "--set", *explained.chain}
    shown = {".".join(value.path) for value in explained.values} - {"name", "strategy", "reason"}
    unset = (
        "budgets.",
        "training.",
        "evaluation.",
        "validation.",
        "device.",
        "export.batch",
        "export.license",
        "cpu.isa",
        "options",
        "data.folder",
        "images.",
    )
    absent = {key for key in key_paths() if key.startswith(unset)}
    assert shown <= set(key_paths()) <= shown | absent


def test_a_value_comes_from_the_last_that_says_it(tmp_path: Path) -> None:
    own = tmp_path / "drone.toml"
    own.write_text(
        'extends = "mini-pc"\nreason = "flies"\n[cpu]\nthreads = 4\n[export.dynamic_axes.ids]\n1 = "length"\n'
    )
    sources = _sources(str(own), "export.dynamic_axes.ids.2=width", "budgets.min_speedup=2", "cpu.runs=100")
    assert sources["name"] == sources["reason"] == str(own)
    assert sources["strategy"] == sources["quantization.adaround"] == "mobile"
    assert sources["cpu.threads"] == sources["export.dynamic_axes.ids.1"] == str(own)
    assert sources["cpu.isa"] == sources["quantization.scheme"] == "mini-pc"
    assert sources["seed"] == "default"
    assert sources["export.dynamic_axes.ids.2"] == sources["budgets.min_speedup"] == sources["cpu.runs"] == "--set"
    assert "budgets.max_size_mb" not in sources


def test_a_table_that_is_given_whole_is_the_source_of_all_in_it(tmp_path: Path) -> None:
    own = tmp_path / "drone.toml"
    own.write_text('[export.dynamic_axes.ids]\n1 = "length"\n')
    sources = _sources(str(own), 'export.dynamic_axes={ids={"1"="length"}}')
    assert sources["export.dynamic_axes.ids.1"] == "--set"


def test_a_strategy_comes_from_who_changed_the_techniques(tmp_path: Path) -> None:
    own = tmp_path / "drone.toml"
    own.write_text('extends = "edge"\n[pruning]\nenabled = false\n')
    assert _sources(str(own))["strategy"] == str(own)
    assert _sources("edge", "pruning.enabled=false")["reason"] == "--set"
    own.write_text("")
    assert _sources(str(own))["strategy"] == "default"


def test_a_file_is_explained_although_packages_that_it_names_are_gone(tmp_path: Path) -> None:
    own = tmp_path / "drone.toml"
    own.write_text('[pruning]\nimportance = "theirs"\n[validation]\non = ["board:a"]\n')
    explained = explain_profile(str(own), ["quantization.observer=mse"])
    assert explained.missing == (missing(CRITERIA, "theirs"), missing(RUNTIMES, "board"))
    shown = {".".join(value.path): value.value for value in explained.values}
    assert (shown["pruning.importance"], shown["validation.on"]) == ("theirs", ["board:a"])
    with pytest.raises(RecipeError, match=r"got 'msee' in 'quantization.observer'; did you mean 'mse'\?$"):
        explain_profile(str(own), ["quantization.observer=msee"])


def test_a_file_of_another_name_than_those_that_there_are_is_not_compressed_by(tmp_path: Path) -> None:
    own = tmp_path / "drone.toml"
    own.write_text('[pruning]\nimportance = "theirs"\n')
    assert recorded_profile(own).recipe.pruning.importance == "theirs"
    for load in (load_profile, given_profile):
        with pytest.raises(RecipeError) as caught:
            load(own)
        assert str(caught.value).startswith(f"target {str(own)!r}: expected a value that is 'bn_scale', ")
        assert str(caught.value).endswith("got 'theirs' in 'pruning.importance'")
