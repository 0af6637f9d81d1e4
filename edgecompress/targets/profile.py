"""Target profiles: a recipe with a name and a reason, from TOML that comes along or a file of the user's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.recipe.arguments import Overrides
from edgecompress.recipe.arguments import assignments as listed_overrides
from edgecompress.recipe.overrides import keys_of, override
from edgecompress.recipe.tables import Recipe, key_paths, parse_recipe
from edgecompress.recipe.toml import recipe_tables
from edgecompress.recipe.unknown import in_its_place
from edgecompress.recipe.wording import in_python_words
from edgecompress.registry import RUNTIMES, is_known
from edgecompress.targets.inheritance import EXTENDS, ProfileFile, leaves, profile_names, read_chain

HEAD = ("name", "strategy", "reason")
"""What a profile says in addition to its recipe, as text."""


def _check_text(value: Any, key: str) -> None:
    if not isinstance(value, str):
        raise RecipeError(f"expected text, got {value!r} in {key!r}; put it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RecipeError(f"the text in {key!r} is not UTF-8; write it anew") from None


@dataclass(frozen=True, kw_only=True)
class TargetProfile:
    """A recipe with a name, the strategy it follows, and the reason for that strategy.

    Args:
        name: as reports and ``targets list`` show it.
        strategy: the techniques in words.
        reason: why they suit the target.
        recipe: what is asked.
        asked: the keys that files of the user's own and overrides set; a record of a run has all keys, and sets none.

    Raises:
        RecipeError: a text is none, or there is no recipe.
    """

    name: str
    strategy: str
    reason: str
    recipe: Recipe
    asked: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for key in HEAD:
            _check_text(getattr(self, key), key)
        if not isinstance(self.recipe, Recipe):
            raise RecipeError(f"expected a Recipe, got {self.recipe!r} in 'recipe'; make it with parse_recipe")


OWN = TargetProfile(name="custom", strategy="custom", reason="a recipe of the user's own", recipe=Recipe())
"""What a file extends that says nothing of that."""


@in_python_words
def load_profile(name: str | Path) -> TargetProfile:
    """The profile called ``name``, or the one in the TOML file at that path, with all that it extends.

    Args:
        name: one of :func:`profile_names`, or the path of a TOML file.

    Raises:
        RecipeError: no such profile (the nearest is offered), or one that does not validate.

    >>> load_profile("mobile").recipe.techniques
    ('quantization',)
    >>> load_profile("raspberry-pi-4").recipe.techniques
    ('pruning', 'quantization')
    """
    return _load(name)


def place_of(name: str) -> str:
    """The place that the target of a name is made for; what is a place itself, or no target, stays as it is.

    Raises:
        RecipeError: the target is made for none.

    >>> place_of("snapdragon"), place_of("qnn:sm8750"), place_of("browser")
    ('qnn:sm8650', 'qnn:sm8750', 'browser')
    """
    if is_known(RUNTIMES, name) or name not in profile_names():
        return name
    device = load_profile(name).recipe.validation.device
    if device is None:
        raise RecipeError(
            f"target {name!r} runs on ONNX Runtime's CPU provider, as this machine does; leave it out of --on, or give"
            " a place there, such as 'qnn:sm8650'"
        )
    return device


def given_profile(
    target: str | Path | TargetProfile | None, assignments: Overrides = (), recipe: Recipe | None = None
) -> TargetProfile:
    """The profile that a caller of the Python interface names, or gives; with ``KEY=VALUE`` overrides in its recipe.

    Args:
        target: a name, a path, or a profile; None where there is a recipe.
        assignments: the overrides.
        recipe: in place of a target; its profile is called ``custom``.

    Raises:
        RecipeError: an unknown target or key, a wrong type, target and recipe at once, or overrides that are neither a
            list nor a dict.
    """
    listed = listed_overrides("overrides", assignments)
    if recipe is not None:
        if target is not None:
            raise RecipeError("a target has a recipe of its own; give target or recipe")
        return overridden(replace(OWN, recipe=recipe), listed)
    return overridden(target if isinstance(target, TargetProfile) else _load(target), listed)


def recorded_profile(target: str | Path | TargetProfile, assignments: Overrides = ()) -> TargetProfile:
    """A profile as :func:`given_profile` has it, for what runs no technique of it.

    Its files may name what no package registers here (:func:`~edgecompress.recipe.recorded.missing_names` tells); the
    overrides may not.

    Raises:
        RecipeError: as :func:`given_profile`.
    """
    from edgecompress.recipe.recorded import read_recorded

    listed = listed_overrides("overrides", assignments)
    if isinstance(target, TargetProfile):
        return overridden(target, listed)
    return overridden_record(profile_levels(_chain(target), read_recorded)[-1], listed)


def overridden_record(profile: TargetProfile, assignments: Iterable[str]) -> TargetProfile:
    """A profile that was read as a record, with overrides whose names are looked up.

    Raises:
        RecipeError: an unknown key or name, or a wrong type.
    """
    from edgecompress.recipe.recorded import require_names

    asked = overridden(profile, assignments)
    require_names(asked.recipe, profile.recipe)
    return asked


def profile_levels(
    chain: Iterable[ProfileFile], read: Callable[[Mapping[str, Any]], Recipe] = parse_recipe
) -> tuple[TargetProfile, ...]:
    """The profile after each file of a chain, each over the one before it.

    Args:
        chain: what is extended comes first.
        read: from tables to a recipe.

    Raises:
        RecipeError: one of them does not validate; it is named.
    """
    levels: list[TargetProfile] = []
    for file in chain:
        try:
            levels.append(_extended(levels[-1] if levels else OWN, file, read))
        except RecipeError as error:
            raise RecipeError(f"target {file.label!r}: {error}") from None
    return tuple(levels)


def effective_profile(target: str, assignments: Iterable[str] = ()) -> TargetProfile:
    """The profile called ``target`` with ``KEY=VALUE`` overrides in its recipe.

    Where these turn techniques on or off, its strategy and reason say so.

    Raises:
        RecipeError: an unknown target or key, or a wrong type.
    """
    return overridden(_load(target), assignments)


def overridden(profile: TargetProfile, assignments: Iterable[str]) -> TargetProfile:
    """A profile with ``KEY=VALUE`` overrides in its recipe, as :func:`effective_profile` has them."""
    listed = tuple(assignments)
    asked = dict.fromkeys((*profile.asked, *keys_of(listed)))
    changed = _with_recipe(profile, override(profile.recipe, listed), "as the overrides ask")
    return replace(changed, asked=tuple(asked))


def _load(name: str | Path | None) -> TargetProfile:
    return profile_levels(_chain(name))[-1]


def _chain(name: str | Path | None) -> tuple[ProfileFile, ...]:
    if not isinstance(name, (str, os.PathLike)):
        raise RecipeError(f"target is {name!r}; give a name, the path of a TOML file, or a TargetProfile")
    return read_chain(os.fspath(name))


def _extended(parent: TargetProfile, file: ProfileFile, read: Callable[[Mapping[str, Any]], Recipe]) -> TargetProfile:
    """What a file says over its parent, table by table."""
    _check_keys(file.tables)
    head: dict[str, Any] = {key: file.tables[key] for key in HEAD if key in file.tables}
    own = {key: value for key, value in file.tables.items() if key not in (*HEAD, EXTENDS)}
    recipe = read(_over(recipe_tables(parent.recipe), own))
    name = Path(file.label).stem if file.path is not None else file.label
    changed = replace(parent, recipe=recipe)
    if EXTENDS in file.tables:
        changed = _with_recipe(parent, recipe, f"as {name} asks")
    asked = parent.asked if file.path is None else (*parent.asked, *_asked(own, recipe))
    return replace(changed, **{"name": name, "asked": asked} | head)


def _asked(own: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """The keys that a file sets, unless it has every one, as what records a run does."""
    paths = [path for path, _ in leaves(own)]
    is_record = {path for path, _ in leaves(recipe_tables(recipe))} <= {*paths}
    return [] if is_record else [".".join(path) for path in paths]


def _with_recipe(profile: TargetProfile, recipe: Recipe, reason: str) -> TargetProfile:
    if recipe.techniques == profile.recipe.techniques:
        return replace(profile, recipe=recipe)
    techniques = ", then ".join(name.replace("_", " ") for name in recipe.techniques) or "no technique"
    return replace(profile, recipe=recipe, strategy=f"changed to {techniques}", reason=reason)


def _over(tables: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables over nested tables; anything else replaces what was there."""
    merged = dict(tables)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _check_keys(tables: Mapping[str, Any]) -> None:
    known = [*HEAD, EXTENDS, *Recipe.model_fields]
    for key in tables:
        if key not in known:
            raise RecipeError(f"unknown key {key!r}; {in_its_place(key, [*known, *key_paths()])}")
