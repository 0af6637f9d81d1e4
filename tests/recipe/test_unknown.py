"""A key that no recipe has is told with what to write in its place, however it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe, key_paths, parse_recipe
from edgecompress.recipe.unknown import NO_KEYS, OTHER_NAMES, in_its_place
from edgecompress.recipe.wording import python_words
from edgecompress.targets import load_profile


@pytest.mark.parametrize("name", ["bits", "device", "dtype", "weights", *OTHER_NAMES])
def test_a_file_a_table_and_an_override_are_told_the_same(name: str, tmp_path: Path) -> None:
    told = f"unknown key 'quantization.{name}'; {in_its_place(f'quantization.{name}', key_paths())}"
    file = tmp_path / "own.toml"
    file.write_text(f"extends = 'mobile'\n[quantization]\n{name} = 8\n")
    with pytest.raises(RecipeError) as of_the_file:
        load_profile(file)
    with pytest.raises(RecipeError) as of_the_override:
        override(Recipe(), [f"quantization.{name}=8"])
    with pytest.raises(RecipeError) as of_the_table:
        parse_recipe({"quantization": {name: 8}})
    assert str(of_the_override.value) == str(of_the_table.value) == told
    assert str(of_the_file.value) == python_words(f"target {str(file)!r}: {told}")


def test_a_key_at_the_top_of_a_file_is_told_so_too(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("extends = 'mobile'\nbits = 8\n")
    with pytest.raises(RecipeError, match="unknown key 'bits'; weights and activations have 8 bits"):
        load_profile(file)


def test_other_names_are_of_keys_and_hints_of_none() -> None:
    assert {*OTHER_NAMES.values()} <= {*key_paths()}
    assert not {*NO_KEYS} & {*key_paths()}
    assert in_its_place("lr", []) == "targets show NAME lists the keys"
