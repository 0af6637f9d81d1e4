"""Inheritance: a profile's file, and the files that it extends."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from edgecompress.errors import RecipeError, nearest
from edgecompress.recipe.wording import in_python_words
from edgecompress.targets.meant import suggestion

KeyPath = tuple[str, ...]
EXTENDS = "extends"
DEVICES = "devices"
"""Folder of the profiles of devices; those of the strategies lie next to this file."""


@dataclass(frozen=True, kw_only=True)
class ProfileFile:
    """One file as it was read.

    ``label`` is what errors call it: a shipped profile's name, or the path as it was given. ``path`` is None for a
    shipped one.
    """

    label: str
    path: Path | None
    tables: Mapping[str, Any]


def leaves(tables: Mapping[str, Any], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """The values of nested tables, each with its path; an empty table is a value.

    >>> [*leaves({"seed": 3, "cpu": {"threads": 2}})]
    [(('seed',), 3), (('cpu', 'threads'), 2)]
    """
    for key, value in tables.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def strategy_names() -> list[str]:
    """The names of the profiles of the four strategies, sorted.

    >>> strategy_names()
    ['cloud', 'edge', 'mobile', 'realtime']
    """
    return _names("")


def device_names() -> list[str]:
    """The names of the profiles of devices, sorted.

    >>> device_names()[:2]
    ['android', 'browser']
    """
    return _names(DEVICES)


@in_python_words
def profile_names() -> list[str]:
    """The names of all profiles that come with edgecompress: the strategies, then the devices."""
    return strategy_names() + device_names()


def read_chain(name: str) -> tuple[ProfileFile, ...]:
    """The profile called ``name``, or the one in the TOML file at that path, after all that it extends.

    Raises:
        RecipeError: a file is missing or no TOML, or ``extends`` names nothing or goes in a circle.

    >>> [file.label for file in read_chain("raspberry-pi-4")]
    ['edge', 'raspberry-pi-4']
    """
    chain = [_read_file(Path(name)) if name.endswith(".toml") else _read_shipped(name)]
    while EXTENDS in chain[-1].tables:
        child, parent = chain[-1], _read_parent(chain[-1])
        if parent.path is not None and parent.path.resolve() in [file.path and file.path.resolve() for file in chain]:
            circle = " -> ".join(file.label for file in (*chain, parent))
            raise RecipeError(f"target {child.label!r}: 'extends' goes in a circle: {circle}; take one away")
        chain.append(parent)
    return tuple(reversed(chain))


def _names(folder: str) -> list[str]:
    entries = resources.files(__package__).joinpath(folder).iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def _read_parent(file: ProfileFile) -> ProfileFile:
    """The file that a file extends: a shipped name, or a path from the file's own folder."""
    named = file.tables[EXTENDS]
    if not isinstance(named, str):
        raise RecipeError(f"target {file.label!r}: expected text, got {named!r} in 'extends'; name a target")
    path = file.path.parent / named if file.path is not None and named.endswith(".toml") else None
    if path is None:
        _check_known(named, f"target {file.label!r}: 'extends' names an ")
        return _read_shipped(named)
    if not path.exists():
        raise RecipeError(
            f"target {file.label!r}: 'extends' names {named!r}, and {str(path)!r} does not exist; check the path"
        )
    return _read_file(path)


def _read_shipped(name: str) -> ProfileFile:
    _check_known(name)
    folder = DEVICES if name in device_names() else ""
    text = resources.files(__package__).joinpath(folder, f"{name}.toml").read_text()
    return ProfileFile(label=name, path=None, tables=_parse(name, text))


def _check_known(name: str, where: str = "") -> None:
    known = profile_names()
    if name not in known:
        if meant := suggestion(name, known):
            raise RecipeError(f"{where}unknown target {name!r}; {meant}")
        raise RecipeError(f"{where}unknown target {name!r}; choose one of {', '.join(known)}{nearest(name, known)}")


def _read_file(path: Path) -> ProfileFile:
    if not path.exists():
        raise RecipeError(f"target file {str(path)!r} does not exist; check the path")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"target file {str(path)!r} cannot be read: {error.__class__.__name__}; make it readable UTF-8 text"
        ) from None
    return ProfileFile(label=str(path), path=path, tables=_parse(str(path), text))


def _parse(label: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"target {label!r} is not TOML: {error}; repair it") from None
