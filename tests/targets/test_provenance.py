"""Where each value of an effective profile comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.recipe.tables import key_paths
from edgecompress.targets import effective_profile, profile_names
from edgecompress.targets.provenance import explain_profile


def _sources(target: str, *assignments: str) -> dict[str, str]:
    return {".".join(value.path): value.source for value in explain_profile(target, assignments).values}


@pytest.mark.parametrize("name", profile_names())
def test_every_value_has_a_source_and_the_profile_is_the_effective_one(name: str) -> None:
    explained = explain_profile(name, ["seed=4"])
    assert explained.profile == effective_profile(name, ["seed=4"])
    assert {value.source for value in explained.values} == {"default", "--set", *explained.chain}
    shown = {".".join(value.path) for value in explained.values} - {"name", "strategy", "reason"}
    unset = ("budgets.", "training.", "evaluation.", "validation.", "export.batch", "cpu.isa", "options")
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
