"""A recipe goes to TOML and back."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given

from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Recipe, parse_recipe
from edgecompress.recipe.toml import dump_recipe
from tests.drawn_recipes import tables


def _paths(tables: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tables.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")


def _read(tables: Mapping[str, Any]) -> Recipe | str:
    try:
        return parse_recipe(tables)
    except RecipeError as error:
        return str(error)


@given(tables())
def test_it_comes_back_from_toml_as_it_was_or_is_refused_with_a_path(tables: dict[str, Any]) -> None:
    read = _read(tables)
    if isinstance(read, str):
        assert any(repr(path)[:-1] in read for path in ("order", *_paths(tables))), read
    else:
        assert parse_recipe(tomllib.loads(dump_recipe(read))) == read
