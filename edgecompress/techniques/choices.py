"""What a killed run had chosen: choices that rest on measured times would be others the second time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgecompress.system.durable import write_whole
from edgecompress.system.randomness import own_randomness
from edgecompress.training.distributed import from_first


def chosen_once(file: Path | None, key: str, choose: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """A choice that all processes share, and that a run which goes on after a kill makes again.

    Whatever it draws, the random generators are afterwards as they were: for those who recall it, nothing was drawn.

    Args:
        file: where the first process keeps it, as JSON; there whole or not at all. None keeps nothing.
        key: a digest of all that it depends on; what was kept under another one does not count.
        choose: makes it, as values that JSON can hold.
    """

    def choose_apart() -> Mapping[str, Any]:
        with own_randomness():
            return choose()

    return from_first(lambda: choose_apart() if file is None else _recalled(file, key, choose_apart))


def _recalled(file: Path, key: str, choose: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    found = _recall(file, key)
    if found is None:
        found = choose()
        write_whole(file, json.dumps({"key": key, "choice": found}).encode())
    return found


def _recall(file: Path, key: str) -> Mapping[str, Any] | None:
    """What was kept for the same key; None where there is none, or it cannot be read."""
    try:
        kept = json.loads(file.read_text())
        return dict(kept["choice"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
