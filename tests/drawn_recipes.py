"""Recipes drawn from their own schema: most hold together, some of their values are junk."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from edgecompress.recipe.tables import Recipe
from tests.mutations import JUNK

SCHEMA = Recipe.model_json_schema()


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Nested tables as TOML gives them, without what has no form there."""
    drawn: dict[str, Any] = draw(_values(SCHEMA))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        table = draw(st.sampled_from([drawn, *(each for each in drawn.values() if isinstance(each, dict))]))
        key = draw(st.sampled_from([*table]) if table else st.text(max_size=8))
        junk = draw(st.sampled_from([each for each in JUNK if each is not None]) | st.text(max_size=8))
        table[key] = copy.deepcopy(junk)
    return drawn


def _values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a schema allows; of an object any of its keys may be absent."""
    if "$ref" in schema:
        return _values(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of(*(_values(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return OF_TYPE[schema["type"]](schema)


def _object(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    keys = {name: _values(each) for name, each in schema.get("properties", {}).items()}
    if not keys:
        return st.dictionaries(st.text(max_size=4), st.dictionaries(st.integers(-1, 3).map(str), st.text(max_size=4)))
    return st.fixed_dictionaries({}, optional=keys)


def _array(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*map(_values, schema["prefixItems"])).map(list)
    return st.lists(_values(schema["items"]), max_size=4)


def _number(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low, high = (schema.get(end, schema.get(f"exclusive{end.title()}")) for end in ("minimum", "maximum"))
    return st.floats(low, high, exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema)


def _integer(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -2) + 1)
    return st.integers(low, min(schema.get("maximum", 10**6), 10**6))


OF_TYPE: dict[str, Callable[[dict[str, Any]], st.SearchStrategy[Any]]] = {
    "object": _object,
    "array": _array,
    "number": _number,
    "integer": _integer,
    "string": lambda _: st.text(max_size=8),
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.just("none"),
}
