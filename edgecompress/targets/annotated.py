"""An effective profile as TOML that can be loaded again, with the source of each value in a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from edgecompress.targets.inheritance import KeyPath
from edgecompress.targets.provenance import Value

WIDTH = 80
COLUMN = 48
"""Column at which comments begin, after values that leave them room."""
BARE = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that need no quotes."""


def annotated_toml(values: Iterable[Value]) -> str:
    """TOML of at most 80 columns; a single text or key may be longer.

    >>> print(annotated_toml([Value(path=("cpu", "threads"), value=2, source="--set")]), end="")
    <BLANKLINE>
    [cpu]
    threads = 2                                     # --set
    """
    lines: list[str] = []
    for table, group in groupby(values, key=_table):
        if table:
            lines += ["", f"[{table}]"]
        for value in group:
            lines += _lines(value.path[1:] if table else value.path, value)
    return "\n".join(lines) + "\n"


def _table(value: Value) -> str:
    return value.path[0] if len(value.path) > 1 else ""


def _lines(path: KeyPath, value: Value) -> Iterator[str]:
    """``key = value  # source``; where that is too long the comment goes above, and the items of a list below."""
    key = ".".join(part if BARE.fullmatch(part) else _text(part) for part in path)
    line = f"{key} = {_toml(value.value)}"
    commented = f"{line:<{COLUMN - 1}} # {value.source}"
    if len(commented) <= WIDTH:
        yield commented
        return
    yield f"# {value.source}:"
    if len(line) <= WIDTH or not isinstance(value.value, list):
        yield line
        return
    yield f"{key} = ["
    yield from (f"    {_toml(item)}," for item in value.value)
    yield "]"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return "{}" if isinstance(value, dict) else repr(value)


def _text(text: str) -> str:
    """A TOML basic string: JSON escapes all that TOML wants escaped but DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
