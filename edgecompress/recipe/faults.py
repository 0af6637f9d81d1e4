"""Faults of data that pydantic refuses, in one line that names the key's path."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from edgecompress.errors import nearest
from edgecompress.recipe.quantities import NUMBER, Forms, number_as_meant
from edgecompress.recipe.unknown import in_its_place

EXPECTED = {
    "float": "number",
    "int": "whole number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "model": "a table",
    "dict": "a table",
}


def no_forms(path: str) -> Forms:  # noqa: ARG001
    """What keys may hold, where nothing says it."""
    return ()


def describe_fault(
    error: ValidationError, keys: Mapping[str, str], prefix: str = "", forms_of: Callable[[str], Forms] = no_forms
) -> str:
    """The first fault of a validation error.

    Args:
        error: what pydantic found.
        keys: the paths that are known, and what is said of each.
        prefix: the path of what was validated, with the dot behind it.
        forms_of: what the key of a path may hold.
    """
    fault = error.errors()[0]
    path = prefix + ".".join(str(part) for part in fault["loc"])
    kind = fault["type"]
    if kind == "value_error":  # a check of our own, which names its path by itself
        return str(fault["ctx"]["error"])
    if kind == "extra_forbidden":
        return f"unknown key {path!r}; {in_its_place(path, [*keys])}"
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
        hint = _written(expected, fault["input"], path, forms_of(path), keys.get(path, ""))
        return f"expected {expected}, got {fault['input']!r} in {path!r}{hint}"
    if kind == "literal_error":
        return _told_choice(fault["ctx"]["expected"], fault["input"], re.sub(r"\.\d+$", "", path), keys)
    message = fault["msg"].removeprefix("Input should be ")
    share = kind.startswith("less_than") and fault["ctx"].get("lt", fault["ctx"].get("le")) == 1
    hint = f"; for {fault['input']:g} percent write {fault['input'] / 100:g}" if share and fault["input"] <= 100 else ""
    return f"expected a value that is {message}, got {fault['input']!r} in {path!r}{hint}"


def _told_choice(expected: str, given: object, path: str, keys: Mapping[str, str]) -> str:
    """A word that is none of those that a key takes: the nearest, or what the key says of its words."""
    hint = nearest(str(given), re.findall(r"'([^']*)'", expected), _said(keys.get(path, ""), "; "))
    return f"expected a value that is {expected}, got {given!r} in {path!r}{hint}"


def _said(docstring: str, before: str) -> str:
    """What a key says of itself, to go on a line."""
    said = docstring.replace("``", "").rstrip(".")
    return f"{before}{said[0].lower()}{said[1:]}" if said else ""


def _written(expected: str, given: object, path: str, forms: Forms, docstring: str) -> str:
    """How a value is written that was given in another way, where that shows."""
    if expected == EXPECTED["tuple"]:
        return f"; write [{given}]" if isinstance(given, (int, float)) else "; write [first, second]"
    if expected not in (EXPECTED["float"], EXPECTED["int"]) or not isinstance(given, str):
        return ""
    meant = number_as_meant(path, given, forms)
    if not isinstance(meant, str):
        return f"; write {meant:.12g}, without quotes"
    if re.fullmatch(r"\d+,\d+", given):
        return f"; write {given.replace(',', '.')}"
    if NUMBER.fullmatch(given.strip().lower()):
        return f"; write a number without a unit{_said(docstring, ': ')}"
    return "; write a number, or none to leave it out" if any(form.get("type") == "null" for form in forms) else ""
