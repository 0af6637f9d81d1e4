"""A bundle as a run of an experiment: its parameters and measures, each by a name, as plain texts and numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgecompress.bundle.manifest import MANIFEST, Manifest

MAX_NAME, MAX_TEXT = 250, 500
"""Characters of a name, and of a parameter, that every tracking server takes."""
NO_NAME = re.compile(r"[^A-Za-z0-9_. -]")
"""Characters that a name may not hold; a slash would make a folder."""
ENDS = ("low", "high")
SETUP = ("class_axis", "runs", "threads")
"""Numbers next to measures that measure nothing."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a tracking server is told of a bundle.

    Attributes:
        parameters: what was asked for, by name.
        measures: what was found, by name; finite.
        files: names of those that belong to the bundle.
    """

    parameters: Mapping[str, str]
    measures: Mapping[str, float]
    files: tuple[str, ...]


def record_of(manifest: Manifest, *, signature: str | None = None) -> RunRecord:
    """The record of a bundle.

    Args:
        manifest: of the bundle, perhaps a stranger's.
        signature: name of the file that signs it, where there is one.
    """
    asked = {
        "edgecompress_version": manifest.edgecompress_version,
        "target": {"name": manifest.target.name, "strategy": manifest.target.strategy},
        "environment": manifest.environment,
        "samples": manifest.data,
        **manifest.recipe,
    }
    elsewhere = {"cpus": manifest.cpus, "browser": manifest.browser, "runtimes": manifest.runtimes}
    passed = {} if manifest.verdict.outcome == "undecided" else {"passed": float(manifest.verdict.outcome == "pass")}
    return RunRecord(
        parameters=_named((path, _text(value)) for path, value in _leaves(asked)),
        measures=_named(_numbers({**passed, **manifest.metrics, **elsewhere})),
        files=(*sorted(manifest.files), MANIFEST, *(() if signature is None else (signature,))),
    )


def _leaves(document: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _numbers(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], float]]:
    """The numbers of a document; an interval is two, other lists are left to the manifest."""
    for path, value in _leaves(document):
        ends = dict(zip(ENDS, value, strict=True)) if isinstance(value, list) and len(value) == len(ENDS) else {}
        found = {(*path, name): end for name, end in ends.items()} if "interval" in path[-1] else {path: value}
        measures = {inner: number for inner, number in found.items() if inner[-1] not in SETUP}
        yield from ((inner, float(number)) for inner, number in measures.items() if _is_number(number))


def _is_number(value: Any) -> bool:
    """Whether JSON's value is a number that a double holds.

    >>> [_is_number(value) for value in (1, 0.5, True, "1", 10**400)]
    [True, True, False, False, False]
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _named(entries: Iterator[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    """Entries by names that a tracking server takes, no two alike."""
    found: dict[str, Any] = {}
    for path, value in entries:
        name = NO_NAME.sub("_", ".".join(path))[:MAX_NAME].strip(" .") or "_"
        if name in found:
            name = f"{name[: MAX_NAME - 8]}_{len(found)}"
        found[name] = value
    return found


def _text(value: Any) -> str:
    """A value as ``--set`` takes it.

    >>> _text("mobile"), _text(0.5), _text(True), _text([8, 9]), len(_text("x" * 1000))
    ('mobile', '0.5', 'true', '[8, 9]', 500)
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."
