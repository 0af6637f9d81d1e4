"""Overrides: ``KEY=VALUE`` reaches every key of a recipe."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.recipe.meant import as_meant
from edgecompress.recipe.table import NONE
from edgecompress.recipe.tables import Recipe, key_paths
from edgecompress.recipe.toml import recipe_tables
from edgecompress.recipe.unknown import in_its_place

FREE = (
    "distillation.output_weights.",
    "export.batch_axes.",
    "export.dynamic_axes.",
    "options.",
    "quantization.weight_bits.",
)
"""Beginnings of the keys that go on with a user's own names."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One value for one key, its path taken apart."""

    path: tuple[str, ...]
    value: Any


def override(recipe: Recipe, assignments: Iterable[str]) -> Recipe:
    """A recipe of the same class with ``KEY=VALUE`` assignments applied; VALUE is TOML, a bare word, or ``none``.

    Raises:
        RecipeError: an assignment without ``=``, an unknown key (the nearest is offered), or a wrong type.

    >>> override(Recipe(), ["quantization.scheme=fbgemm", "cpu.threads=2"]).cpu.threads
    2
    """
    tables = recipe_tables(recipe)
    for assignment in assignments:
        _put(tables, parse_assignment(assignment))
    return type(recipe)(**tables)


def parse_assignment(text: str) -> Assignment:
    """The path and the value of ``KEY=VALUE``; parts of KEY may be quoted as in TOML.

    Raises:
        RecipeError: there is no ``=``, or the key is unknown.

    >>> parse_assignment('export.dynamic_axes."x.1".2=length')
    Assignment(path=('export', 'dynamic_axes', 'x.1', '2'), value='length')
    """
    key, separator, value = text.partition("=")
    if not separator:
        raise RecipeError(f"{text!r} has no '='; write KEY=VALUE")
    key, known = key.strip(), key_paths()
    if key not in known and (key in FREE or not key.startswith(FREE)):
        raise RecipeError(f"unknown key {key!r}; {in_its_place(key, known)}")
    return Assignment(path=_parse_key(key), value=as_meant(key, _parse_value(value.strip())))


def keys_of(assignments: Iterable[str]) -> tuple[str, ...]:
    """The keys that ``KEY=VALUE`` assignments name, each once.

    >>> keys_of(["cpu.threads = 2", "cpu.threads=4", "seed=1"])
    ('cpu.threads', 'seed')
    """
    return tuple(dict.fromkeys(text.partition("=")[0].strip() for text in assignments))


def _parse_key(key: str) -> tuple[str, ...]:
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return tuple(key.split("."))
    path: list[str] = []
    while isinstance(table, dict):
        ((part, table),) = table.items()
        path.append(part)
    return tuple(path)


def _parse_value(text: str) -> Any:
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text.lower() if text.lower() == NONE else text
    return tables["value"] if len(tables) == 1 else text


def _put(tables: dict[str, Any], assignment: Assignment) -> None:
    """Set one value; one that stands where a table has to be gives way to it."""
    *parents, last = assignment.path
    for parent in parents:
        if not isinstance(tables.get(parent), dict):
            tables[parent] = {}
        tables = tables[parent]
    tables[last] = assignment.value
