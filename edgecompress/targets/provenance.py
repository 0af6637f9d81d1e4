"""Provenance: where each value of an effective profile comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgecompress.recipe.overrides import parse_assignment
from edgecompress.recipe.recorded import missing_names, read_recorded
from edgecompress.recipe.toml import recipe_tables
from edgecompress.targets.inheritance import KeyPath, leaves, read_chain
from edgecompress.targets.profile import HEAD, OWN, TargetProfile, overridden_record, profile_levels

DEFAULT, OVERRIDE = "default", "--set"


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value of a profile: its path, what it is (JSON), and the file it comes from, ``default`` or ``--set``."""

    path: KeyPath
    value: Any
    source: str


@dataclass(frozen=True, kw_only=True)
class Explained:
    """An effective profile, the labels of its files (what is extended comes first), and its values in their order.

    ``missing`` has a line for each name in the files that no package registers here.
    """

    profile: TargetProfile
    chain: tuple[str, ...]
    values: tuple[Value, ...]
    missing: tuple[str, ...] = ()


def explain_profile(target: str, assignments: Iterable[str] = ()) -> Explained:
    """The effective profile of a target with overrides, and the source of each of its values.

    Raises:
        RecipeError: an unknown target or key, or a wrong type.

    >>> explained = explain_profile("mini-pc", ["cpu.threads=2"])
    >>> [(value.path[1], value.source) for value in explained.values if value.path[0] == "cpu"]
    [('isa', 'mini-pc'), ('threads', '--set'), ('runs', 'default'), ('emulate', 'default')]
    """
    assignments = tuple(assignments)
    chain = read_chain(target)
    levels = profile_levels(chain, read_recorded)
    profile = overridden_record(levels[-1], assignments)
    labels = [file.label for file in chain]
    said: dict[KeyPath, str] = {}
    for file in chain:
        for path, _ in leaves(file.tables):
            _say(said, path, file.label)
    for assignment in map(parse_assignment, assignments):
        _say(said, assignment.path, OVERRIDE)
    said |= _head_sources([*levels, profile], [*labels, OVERRIDE])
    tables = {**{key: getattr(profile, key) for key in HEAD}, **recipe_tables(profile.recipe)}
    values = (Value(path=path, value=value, source=_source(said, path)) for path, value in leaves(tables))
    missing = missing_names(profile.recipe)
    return Explained(profile=profile, chain=tuple(labels), values=tuple(values), missing=missing)


def _say(said: dict[KeyPath, str], path: KeyPath, source: str) -> None:
    """Note the source of a value; what stood below it is gone."""
    for below in [known for known in said if known[: len(path)] == path]:
        del said[below]
    said[path] = source


def _head_sources(levels: list[TargetProfile], labels: list[str]) -> dict[KeyPath, str]:
    """Who last changed name, strategy and reason; files change the last two by the techniques they ask for, too."""
    sources: dict[KeyPath, str] = {}
    for before, after, label in zip([OWN, *levels], levels, labels, strict=False):
        sources |= {(key,): label for key in HEAD if getattr(before, key) != getattr(after, key)}
    return {(key,): DEFAULT for key in HEAD} | sources


def _source(said: Mapping[KeyPath, str], path: KeyPath) -> str:
    """The source noted for a path, or for the table around it that was given as one value."""
    whole = (path[:length] for length in range(len(path), 0, -1))
    return next((said[part] for part in whole if part in said), DEFAULT)
