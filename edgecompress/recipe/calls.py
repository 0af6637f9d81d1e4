"""Calls of the public functions: an argument that is missing, or that there is not, in one line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgecompress.errors import InputError, RecipeError, nearest

REQUIRED = inspect.Parameter.empty
BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def require_arguments(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Require that a function can be called so.

    Raises:
        InputError: an argument is missing; what the function's docstring says of it is told.
        RecipeError: there is no such argument, or it is given twice, or too many by position.

    >>> def load(path: str, *, strict: bool = True) -> None: ...
    >>> require_arguments(load, ["a.pt"], {"stric": False})
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: load takes no argument 'stric'; did you mean 'strict'?
    """
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        _refuse(function, signature.parameters, args, kwargs)


def _refuse(
    function: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    called = function.__qualname__.rpartition("<locals>.")[2].removesuffix(".__init__")
    named = [name for name in parameters if name != "self"]
    for key in kwargs:
        if key not in parameters:
            near = nearest(key, named, f"; its arguments are {', '.join(named)}").removeprefix("; ")
            raise RecipeError(f"{called} takes no argument {key!r}; {near}")
    places = [name for name, each in parameters.items() if each.kind in BY_POSITION]
    if len(args) > len(places):
        count, listed = len(args) - (places[:1] == ["self"]), ", ".join(name for name in places if name != "self")
        raise RecipeError(f"{called} is given {count} arguments by position and takes {listed} so; name the others")
    given = {*places[: len(args)], *kwargs}
    if twice := [key for key in kwargs if key in places[: len(args)]]:
        raise RecipeError(f"{called} is given {twice[0]!r} twice, by position and by name; leave one out")
    documented = type(args[0]) if function.__name__ == "__init__" and args else function
    missing = next(name for name, each in parameters.items() if each.default is REQUIRED and name not in given)
    raise InputError(f"{called} needs {missing!r}; give it ({_said_of(documented, called, missing)})")


def _said_of(documented: object, called: str, name: str) -> str:
    """What to give for an argument, as the docstring has it."""
    found = re.search(rf"^\s*{name}: (.+?)(?:[.;]|$)", inspect.getdoc(documented) or "", re.MULTILINE)
    if found is None or found[1].startswith("not modified"):
        return f"help({called}) says what it is"
    return re.sub(r":\w+:`~?([^`]*)`|``", r"\1", found[1])
