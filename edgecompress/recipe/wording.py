"""Errors in the words of the caller: a function of Python has arguments where the command line has options."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from edgecompress.errors import EdgecompressError

P = ParamSpec("P")
T = TypeVar("T")
COMMAND = r"(?:edgecompress [a-z]+|npm install|openssl [a-z]+|pip install) [^;]*"
"""A command in a message, which stays one."""
PHRASES = (
    (r"(\w+) \(--\1\)", r"\1"),
    (r"\badd --overwrite\b", "give overwrite=True"),
    (r"\binspect --sensitivity\b", "inspect(model, sensitivity=True)"),
    (r"\binspect lists\b", "inspect(model) lists"),
    (r"\btargets list names\b", "profile_names() names"),
    (r"\btargets show NAME lists\b", "load_profile(NAME).recipe has"),
    (r"(?:\bset|--set) ((?:[a-z_]+\.)+[a-z_]+=[^\s;,]+)", r"give overrides=['\1']"),
)
"""What one says on the command line, and in Python."""


def in_python_words(function: Callable[P, T]) -> Callable[P, T]:
    """A function whose errors name arguments, where what it calls names options of the command line."""

    @functools.wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except EdgecompressError as error:
            words = python_words(str(error))
            if words == str(error):
                raise
            raise type(error)(words) from error.__cause__

    return told


def in_options(function: Callable[P, T]) -> Callable[P, T]:
    """The function as it is, for the command line: its errors name options."""
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
