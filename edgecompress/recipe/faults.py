"""Faults of data that pydantic refuses, in one line that names the key's path."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from edgecompress.errors import nearest

EXPECTED = {
    "float": "number",
    "int": "whole number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "model": "a table",
    "dict": "a table",
}


def describe_fault(error: ValidationError, keys: Sequence[str], prefix: str = "") -> str:
    """The first fault of a validation error.

    Args:
        error: what pydantic found.
        keys: the paths that are known, for the nearest one.
        prefix: the path of what was validated, with the dot behind it.
    """
    fault = error.errors()[0]
    path = prefix + ".".join(str(part) for part in fault["loc"])
    kind = fault["type"]
    if kind == "value_error":  # a check of our own, which names its path by itself
        return str(fault["ctx"]["error"])
    if kind == "extra_forbidden":
        return f"unknown key {path!r}{nearest(path, keys)}"
    if kind == "string_pattern_mismatch":
        return f"{fault['input']!r} cannot stand in {path.removesuffix('.[key]')!r}"
    if kind == "json_invalid":
        return "a text is not UTF-8"
    if kind == "missing":
        return f"a value is missing: {path!r}"
    if kind == "too_long":
        return f"too many values in {path!r}: {fault['input']!r}"
    expected = EXPECTED.get(kind.split("_")[0]) if kind.endswith(("_type", "_parsing")) else None
    if expected:
        return f"expected {expected}, got {fault['input']!r} in {path!r}"
    message = fault["msg"].removeprefix("Input should be ")
    return f"expected a value that is {message}, got {fault['input']!r} in {path!r}"
