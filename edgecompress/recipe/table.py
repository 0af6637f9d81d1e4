"""A table of a recipe: a frozen record, checked in the same way whether Python makes it or TOML."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from edgecompress.errors import RecipeError, a_kind, first_line
from edgecompress.recipe.faults import describe_fault
from edgecompress.recipe.quantities import Forms

NONE = "none"
"""What stands in TOML and after ``--set KEY=`` for no value."""
DATES = (datetime.date, datetime.time)
"""What TOML knows and JSON does not."""


class Table(BaseModel):
    """One table of a recipe: immutable, and closed to keys that it does not know.

    Values are taken as TOML has them: no text for a number, no number for true, a list for names. NumPy's numbers are
    numbers.

    Raises:
        RecipeError: a key is unknown, or a value is of the wrong type or out of range; the message has the key's path.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def __init__(self, /, **values: Any) -> None:
        root, prefix = _place(type(self))
        # As JSON, since a list is a tuple there, and nothing else is made of another type.
        text = _as_json({key: self._nulled(key, value) for key, value in values.items()}, prefix)
        try:
            self.__pydantic_validator__.validate_json(text, strict=True, self_instance=self)
        except ValidationError as error:
            raise RecipeError(describe_fault(error, sayings_of(root), prefix, partial(forms_of, root))) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = True) -> Self:  # noqa: ARG002
        """A copy with other values, checked as a new table is; it shares nothing with this one.

        Raises:
            RecipeError: as when a table is made.
        """
        return type(self)(**{**dict(self), **(update or {})})

    @classmethod
    def _nulled(cls, key: str, value: Any) -> Any:
        """A value, or None for the word ``none`` where there need be no value."""
        field = cls.model_fields.get(key)
        optional = field is not None and type(None) in get_args(field.annotation)
        return None if optional and isinstance(value, str) and value == NONE else value


def paths_of(table: type[Table], prefix: str = "") -> list[str]:
    """The dotted path of every key of a table and of those in it."""
    return [*sayings_of(table, prefix)]


def sayings_of(table: type[Table], prefix: str = "") -> dict[str, str]:
    """The dotted path of every key of a table and of those in it, and its docstring."""
    said: dict[str, str] = {}
    for name, field in table.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Table):
            said |= sayings_of(kind, f"{prefix}{name}.")
        else:
            said[prefix + name] = " ".join((field.description or "").split())
    return said


def forms_of(table: type[Table], path: str) -> Forms:
    """What a key may hold, as JSON's schema says it; nothing where it is no key of a plain value."""
    *tables, last = path.split(".")
    kind: Any = table
    for name in tables:
        field = kind.model_fields.get(name)
        kind = None if field is None else field.annotation
        if not (isinstance(kind, type) and issubclass(kind, Table)):
            return ()
    said = kind.model_json_schema()["properties"].get(last, {})
    return tuple(_options(said))


def _options(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for option in said.get("anyOf", [said]):
        yield {**option, "enum": [option["const"]]} if "const" in option else option


def _place(kind: type[Table]) -> tuple[type[Table], str]:
    """The outermost table that holds tables of a kind, and the path of these in it."""
    for holder in _kinds(Table):
        for name, field in holder.model_fields.items():
            if field.annotation is kind:
                root, above = _place(holder)
                return root, f"{above}{name}."
    return kind, ""


def _kinds(table: type[Table]) -> Iterator[type[Table]]:
    """All kinds of a table."""
    for kind in table.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _as_json(values: Mapping[str, Any], prefix: str) -> str:
    for key, value in values.items():
        try:
            json.dumps(value, default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise RecipeError(
                f"TOML cannot hold {prefix + key!r}: {first_line(error)}; give numbers, texts, lists or tables"
            ) from None
    return json.dumps(values, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has for a value that it does not know."""
    if isinstance(value, Table):
        return value.model_dump(mode="json")
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, DATES):
        return str(value)
    raise TypeError(f"it is, or holds, {a_kind(value)}")
