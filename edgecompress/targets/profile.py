"""Target profiles: TOML data beside this file, or a file of the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from edgecompress.errors import RecipeError, nearest
from edgecompress.recipe import Recipe, override, parse_recipe

OWN = {"strategy": "custom", "reason": "a recipe of the user's own"}
"""What a profile says of itself where its file does not."""


@dataclass(frozen=True, kw_only=True)
class TargetProfile:
    """A recipe with a name, the strategy it follows, and the reason for that strategy."""

    name: str
    strategy: str
    reason: str
    recipe: Recipe


def profile_names() -> list[str]:
    """The names of the profiles that come with edgecompress, sorted.

    >>> profile_names()
    ['cloud', 'edge', 'mobile', 'realtime']
    """
    entries = resources.files(__package__).iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def load_profile(name: str) -> TargetProfile:
    """The profile called ``name``, or the one in the TOML file at that path.

    Raises:
        RecipeError: no such profile (the nearest is offered), or one that does not validate.

    >>> load_profile("mobile").recipe.techniques
    ('quantization',)
    """
    if name.endswith(".toml"):
        return _parse(Path(name).stem, _read(Path(name)))
    if name not in profile_names():
        raise RecipeError(
            f"unknown target {name!r}; choose one of {', '.join(profile_names())}{nearest(name, profile_names())}"
        )
    return _parse(name, resources.files(__package__).joinpath(f"{name}.toml").read_text())


def _read(path: Path) -> str:
    if not path.exists():
        raise RecipeError(f"target file {str(path)!r} does not exist")
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"target file {str(path)!r} cannot be read: {error.__class__.__name__}") from None


def _parse(name: str, text: str) -> TargetProfile:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"target {name!r} is not TOML: {error}") from None
    head = {key: _text(tables, key, default) for key, default in (("name", name), *OWN.items())}
    try:
        return TargetProfile(**head, recipe=parse_recipe(tables))
    except RecipeError as error:
        raise RecipeError(f"target {name!r}: {error}") from None


def _text(tables: dict[str, Any], key: str, default: str) -> str:
    value = tables.pop(key, default)
    if not isinstance(value, str):
        raise RecipeError(f"expected text, got {value!r} in {key!r}")
    return value


def effective_profile(target: str, assignments: Iterable[str] = ()) -> TargetProfile:
    """The profile called ``target`` with ``KEY=VALUE`` overrides in its recipe.

    Where these turn techniques on or off, its strategy and reason say so.

    Raises:
        RecipeError: an unknown target or key, or a wrong type.
    """
    profile = load_profile(target)
    recipe = override(profile.recipe, assignments)
    if recipe.techniques == profile.recipe.techniques:
        return replace(profile, recipe=recipe)
    techniques = ", then ".join(name.replace("_", " ") for name in recipe.techniques) or "no technique"
    return replace(profile, recipe=recipe, strategy=f"changed to {techniques}", reason="as the overrides ask")
