"""What is told, in the words of the caller: a function of Python has arguments where the command line has options."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, ParamSpec, TypeVar

from edgecompress.errors import EdgecompressError
from edgecompress.progress import CallerWarnings, Progress
from edgecompress.recipe.calls import require_arguments

P = ParamSpec("P")
T = TypeVar("T")
COMMAND = r"(?:edgecompress [a-z]+|npm install|openssl [a-z]+|pip install) [^;]*"
"""A command in a message, which stays one."""
PHRASES = (
    (r"(\w+) \(--\1\)", r"\1"),
    (r"--no-train-data\b", "train_data=False"),
    (r"--train-data\b", "train_data=True"),
    (r"\badd --overwrite\b", "give overwrite=True"),
    (r"\binspect --sensitivity\b", "inspect(model, sensitivity=True)"),
    (r"\binspect lists\b", "inspect(model) lists"),
    (r"\btargets list (names|shows)\b", r"profile_names() \1"),
    (r"\btargets show NAME lists\b", "load_profile(NAME).recipe has"),
    (r"(?:\bset|--set) ((?:[a-z_]+\.)+[a-z_]+=[^\s;,]+)", r"give overrides=['\1']"),
)
"""What one says on the command line, and in Python."""
ADVICE = "advice"
ADVISES: Mapping[str, Any] = {ADVICE: True}
"""Metadata of a field of a record whose texts may tell what to do, or that holds such records."""


def in_python_words(function: Callable[P, T]) -> Callable[P, T]:
    """A function that names arguments, where what it calls names options of the command line.

    So do its errors, what its ``progress`` is warned of, and the fields of :data:`ADVISES` in the records that it
    returns, or gives to ``tell``. A call that cannot be made is told as :mod:`~edgecompress.recipe.calls` tells it.
    """

    @functools.wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        require_arguments(function, args, kwargs)
        heard: dict[str, Any] = {key: _listener(key, value) for key, value in kwargs.items()}
        try:
            return _reworded(function(*args, **heard))
        except EdgecompressError as error:
            words = python_words(str(error))
            if words == str(error):
                raise
            raise type(error)(words) from error.__cause__

    return told


def in_options(function: Callable[P, T]) -> Callable[P, T]:
    """The function as it is, for the command line: it names options."""
    whole: Callable[P, T] = inspect.unwrap(function)
    return whole


def python_words(text: str) -> str:
    """A message with arguments in the place of options.

    >>> python_words("needs data; give train (--train), or set cpu.threads=2; leave --batch-size out")
    "needs data; give train, or give overrides=['cpu.threads=2']; leave batch_size out"
    >>> python_words("it is not signed; edgecompress sign --key KEY.pem signs it")
    'it is not signed; edgecompress sign --key KEY.pem signs it'
    """
    parts = re.split(f"({COMMAND})", text)
    return "".join(part if index % 2 else _without_options(part) for index, part in enumerate(parts))


def _without_options(text: str) -> str:
    for option, argument in PHRASES:
        text = re.sub(option, argument, text)
    return re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda found: found[1].replace("-", "_"), text)


class InPythonWords(Progress):
    """Progress of a caller in Python; ``arguments`` are those that stand for keys of a recipe, by the key's path."""

    def __init__(self, told: Progress, arguments: Mapping[str, str] | None = None) -> None:
        self._told = told
        self._arguments = arguments or {}

    def track(self, *given: Any, **named: Any) -> Iterator[Any]:
        """The same items, counted as the caller's progress counts them."""
        return self._told.track(*given, **named)

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """The same piece of work, shown as the caller's progress shows it."""
        with self._told.step(label):
            yield

    def warn(self, line: str) -> None:
        """The line, with arguments in the place of options and keys."""
        for key, argument in self._arguments.items():
            line = re.sub(rf"\b{re.escape(key)}\b", argument, line)
        self._told.warn(python_words(line))


def caller_warnings(arguments: Mapping[str, str] | None = None) -> Progress:
    """What tells callers in Python where they give nothing to be told: warnings of Python's, in its words.

    Args:
        arguments: of the function that is called, by the path of the recipe's key that each of them sets.
    """
    return InPythonWords(CallerWarnings(), arguments)


def _listener(key: str, value: Any) -> Any:
    """What is told of a run, in Python's words; other arguments as they are."""
    if key == "progress" and value is not None:
        return InPythonWords(value)
    if key == "tell":
        return lambda record: value(_reworded(record))
    return value


def _reworded(value: T) -> T:
    """A record whose advice is in Python's words; anything else as it is."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    advising = [field.name for field in fields(value) if field.metadata.get(ADVICE)]
    return replace(value, **{name: _advice(getattr(value, name)) for name in advising}) if advising else value


def _advice(value: Any) -> Any:
    if isinstance(value, str):
        return python_words(value)
    if isinstance(value, tuple):
        return tuple(map(_advice, value))
    if isinstance(value, Mapping):
        return {key: _advice(each) for key, each in value.items()}
    return _reworded(value)
