"""The Python file that a user names: the user's own code, imported and run."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgecompress.errors import USER_CODE_FAILS, InputError, a_kind, first_line, nearest

SHOWN = 3
"""Callables of a file that a message names."""


def resolve(
    spec: str,
    error_type: type[InputError],
    what: str,
    objects: tuple[type[Any], ...] = (),
    fix: str = "give file.py:callable or package.module:callable",
) -> Callable[[], Any]:
    """The callable that ``file.py:name`` or ``package.module:name`` stands for.

    Args:
        spec: what the user gave.
        error_type: of what is raised.
        what: it is meant to be, as messages call it.
        objects: types; an instance of them may be named itself, and is what the callable then returns.
        fix: what to do where the text names no place and nothing that is near to it.

    Raises:
        InputError: there is none; the error is of ``error_type``.
    """
    place, separator, name = spec.rpartition(":")
    if not separator or not place or not name:
        if spec.endswith(".py") and Path(spec).is_file():
            listed = " or ".join(f"{spec}:{called}" for called in _callables_in(Path(spec))) or f"{spec}:callable"
            raise error_type(f"{what} {spec!r} is a file of code; name a callable of it: {listed}")
        raise error_type(f"{what} {spec!r} is neither a known file nor a callable; {_meant(spec) or fix}")
    if place.endswith(":"):
        raise error_type(f"{what} {spec!r} has two colons; did you mean '{place.rstrip(':')}:{name}'?")
    module = _import_file(Path(place), error_type) if place.endswith(".py") else _import_module(place, error_type)
    if not hasattr(module, name):
        names = [key for key, value in vars(module).items() if callable(value)]
        raise error_type(f"{place!r} has no callable {name!r}{nearest(name, names, '; name one that it has')}")
    factory = getattr(module, name)
    if isinstance(factory, objects):
        return functools.partial(_same, factory)
    if not callable(factory):
        raise error_type(f"{spec!r} is {a_kind(factory)}, not a callable; name a function")
    return factory  # type: ignore[no-any-return]


def _meant(spec: str) -> str:
    """The callable of a file that a text with a dot in the place of the colon means."""
    file, dot, name = spec.rpartition(".")
    return f"did you mean '{file}.py:{name}'?" if dot and Path(f"{file}.py").is_file() else ""


def _same(value: Any) -> Any:
    return value


def _callables_in(path: Path) -> list[str]:
    """The first public functions and classes of a file, which is not run for that."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, ValueError, SyntaxError):
        return []
    named = (node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef)))
    return [name for name in named if not name.startswith("_")][:SHOWN]


def _import_file(path: Path, error_type: type[InputError]) -> Any:
    if not path.is_file():
        raise error_type(f"file {str(path)!r} does not exist; check the path")
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path.resolve()):
        return loaded
    # A name that is taken (a user's own calibration.py or json.py) must not replace the module that has it.
    name = name if loaded is None else f"_edgecompress_user_{name}"
    module_spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        with importable(path.resolve().parent):
            module_spec.loader.exec_module(module)
    except USER_CODE_FAILS as error:
        del sys.modules[name]
        raise error_type(f"{str(path)!r} raised {type(error).__name__}: {first_line(error)}; repair it") from error
    return module


def _import_module(name: str, error_type: type[InputError]) -> Any:
    try:
        with importable(Path.cwd()):
            return importlib.import_module(name)
    except USER_CODE_FAILS as error:
        raise error_type(
            f"module {name!r} cannot be imported: {first_line(error)}; install it, or check the name"
        ) from error


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """The user's folder comes first while their code is imported, and last ever after.

    First, so that ``import data`` finds the file next to theirs, as in a script; last, so that imports
    made later (in an iterator, say) still work but cannot shadow an installed package.
    """
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
        if entry not in sys.path:
            sys.path.append(entry)


def folder_of(spec: str) -> Path:
    """The folder of the file that ``file.py:name`` names; the current one for a module."""
    place = spec.rpartition(":")[0]
    return Path(place).resolve().parent if place.endswith(".py") else Path.cwd()


def place_of(found: Any) -> str:
    """``module:name`` of an object's or a function's code, which a recipe names in place of it."""
    known = found if hasattr(found, "__qualname__") else type(found)
    return f"{known.__module__}:{known.__qualname__}"


def require_no_arguments(factory: Callable[..., Any], spec: str, error_type: type[InputError]) -> None:
    """Refuse a callable that cannot be called without arguments.

    Raises:
        InputError: it needs one; the error is of ``error_type``.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
    if needed:
        raise error_type(
            f"{spec!r} needs the argument {needed[0]!r}; give a function without arguments that returns it"
        )
