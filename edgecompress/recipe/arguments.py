"""Arguments of the front ends, read in one way by all: names, numbers, words and paths; and errors in their words."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from edgecompress.errors import InputError, RecipeError, a_kind, nearest

Overrides = Sequence[str] | Mapping[str, Any]
"""``KEY=VALUE``, or values by key."""


def names(argument: str, value: Any, what: str = "module names") -> tuple[str, ...]:
    """Several names. One text is none of them, since Python would take it letter by letter.

    Raises:
        RecipeError: it is no collection of texts.

    >>> names("protect", "12")
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: protect is '12'; give a list of module names
    """
    listed = isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))
    if not listed or not all(isinstance(name, str) for name in value):
        raise RecipeError(f"{argument} is {value!r}; give a list of {what}")
    return tuple(value)


def assignments(argument: str, value: Overrides) -> tuple[str, ...]:
    """Overrides: a list of ``KEY=VALUE``, or a dict of keys or tables.

    Raises:
        RecipeError: they are neither.

    >>> assignments("overrides", {"pruning.amount": 0.4, "quantization": {"enabled": True, "scheme": "fbgemm"}})
    ('pruning.amount=0.4', 'quantization.enabled=true', 'quantization.scheme="fbgemm"')
    """
    if isinstance(value, Mapping):
        return tuple(f"{key}={_written(leaf)}" for key, leaf in _leaves(value))
    return names(argument, value, "KEY=VALUE, or a dict of them")


def _leaves(tables: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tables.items():
        part = str(key) if not prefix or re.fullmatch(r"[\w-]+", str(key)) else json.dumps(str(key))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{part}.")
        else:
            yield f"{prefix}{part}", value


def _written(value: Any) -> str:
    """A value as TOML has it; NumPy's as Python's."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def number(argument: str, value: Any, within: Callable[[float], bool], give: str) -> float:
    """A finite number of Python's or NumPy's, which true and false are not.

    Args:
        argument: its name.
        value: what was given.
        within: what the number has to be.
        give: that in words.

    Raises:
        RecipeError: it is none.

    >>> number("alpha", 2, lambda share: 0 <= share <= 1, "give 0 to 1")
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: alpha is 2; give 0 to 1
    """
    try:
        real = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        real = math.inf
    if not math.isfinite(real) or not within(real):
        raise RecipeError(f"{argument} is {value!r}; {give}")
    return real


def whole(argument: str, value: Any, least: int, give: str, most: int | None = None) -> int:
    """A whole number of Python's or NumPy's, from ``least`` to ``most``.

    Raises:
        RecipeError: it is none.

    >>> whole("multiple", 2.0, 1, "give a whole number of at least 1")
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: multiple is 2.0; give a whole number of at least 1
    """
    if not is_whole(value) or value < least or (most is not None and value > most):
        raise RecipeError(f"{argument} is {value!r}; {give}")
    return int(value)


def check_seed(value: Any) -> int:
    """A seed that PyTorch's generators take.

    Raises:
        RecipeError: it is no whole number in [0, 2^63).
    """
    return whole("seed", value, 0, "give a whole number from 0 up to 2^63", 2**63 - 1)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number of Python's or NumPy's, which true and false are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def word(argument: str, value: Any, known: Sequence[str]) -> str:
    """One of the words that are known.

    Raises:
        RecipeError: it is none of them; the nearest is offered.

    >>> word("goal", "latncy", ("macs", "latency"))
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: goal is 'latncy'; give one of macs, latency; did you mean 'latency'?
    """
    if not isinstance(value, str) or value not in known:
        raise RecipeError(f"{argument} is {value!r}; give one of {', '.join(known)}{nearest(str(value), known)}")
    return value


def path(argument: str, value: Any) -> Path:
    """A path, as text or as ``Path``.

    Raises:
        RecipeError: it is neither.
    """
    if not isinstance(value, (str, os.PathLike)):
        told = value if isinstance(value, (int, float, bool)) else a_kind(value)
        raise RecipeError(f"{argument} is {told}; give a path")
    return Path(value)


@contextmanager
def named_as_arguments(table: str, options: Mapping[str, str] | None = None) -> Iterator[None]:
    """Errors in the words of a front end whose arguments are keys of a recipe's table.

    Args:
        table: of the recipe.
        options: of the command line, and the arguments in their place.

    Raises:
        InputError: what was raised inside, with ``protect`` for ``pruning.protect``.
    """
    try:
        yield
    except InputError as error:
        told = argument_words(str(error), table, options)
        if told == str(error):
            raise
        raise type(error)(told) from error.__cause__


def argument_words(text: str, table: str, options: Mapping[str, str] | None = None) -> str:
    """A message in the words of such a front end.

    >>> argument_words("give data (--train), or set pruning.importance=l2", "pruning", {"--train": "data"})
    "give data (data), or importance='l2'"
    """
    told = re.sub(rf"; set {table}\.enabled=false", "; give another model", text)
    told = re.sub(rf"\bset {table}\.(\w+)=(\w+)", r"\1='\2'", told).replace(f"{table}.", "")
    for option, argument in (options or {}).items():
        told = told.replace(option, argument)
    return told
