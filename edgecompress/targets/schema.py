"""The JSON Schema of a profile's file, for editors."""

from __future__ import annotations

from typing import Any

from edgecompress.recipe.table import NONE
from edgecompress.recipe.tables import Recipe
from edgecompress.targets.inheritance import EXTENDS, profile_names

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The version that editors' TOML servers read."""
HEAD = {
    EXTENDS: "The profile that this file changes: a name, or the path of a TOML file from this file's folder.",
    "name": "What the target is called; by default the file's name.",
    "strategy": "The techniques, in words.",
    "reason": "Why this strategy.",
}


def profile_schema() -> dict[str, Any]:
    """The schema of a profile's file: the recipe's keys with their docstrings, and the head.

    >>> profile_schema()["properties"]["pruning"]["properties"]["amount"]["exclusiveMaximum"]
    1
    """
    recipe = Recipe.model_json_schema()
    keys: dict[str, Any] = _resolved(recipe["properties"], recipe["$defs"])
    head: dict[str, Any] = {key: {"type": "string", "description": text} for key, text in HEAD.items()}
    head[EXTENDS]["examples"] = profile_names()
    return {
        "$schema": DIALECT,
        "title": "edgecompress target",
        "description": "A target profile of edgecompress: a recipe with a name and a reason.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**head, **keys},
    }


def _resolved(part: Any, definitions: dict[str, Any]) -> Any:
    """A part of pydantic's schema in draft 7, with tables in the place of references, and ``none`` for null."""
    if isinstance(part, list):
        return [_resolved(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if part == {"type": "null"}:
        return {"const": NONE}
    if "$ref" in part:
        siblings = {key: value for key, value in part.items() if key != "$ref"}
        part = {**definitions[part["$ref"].rpartition("/")[2]], **siblings}
    if "patternProperties" in part:
        part = {**part, "additionalProperties": False}
    return dict(_key(key, value, definitions) for key, value in part.items() if not _is_noise(key, value))


def _is_noise(key: str, value: Any) -> bool:
    """Titles that pydantic makes of names, and defaults that TOML cannot say or that the keys below have."""
    return (key == "title" and isinstance(value, str)) or (
        key == "default" and (value is None or isinstance(value, dict))
    )


def _key(key: str, value: Any, definitions: dict[str, Any]) -> tuple[str, Any]:
    if key == "description" and isinstance(value, str):
        return key, " ".join(value.replace("``", "`").split())
    if key == "prefixItems":  # in draft 7 a tuple's items are a list
        return "items", _resolved(value, definitions)
    return key, _resolved(value, definitions)
