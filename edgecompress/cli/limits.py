"""Limits of budgets as options: errors name the option that was typed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from edgecompress.errors import InputError


@contextmanager
def named_as_options(limits: Mapping[str, Any]) -> Iterator[None]:
    """Errors about limits, by the names of their options.

    Args:
        limits: those of a command by the names of their budgets; None for what was not typed.

    Raises:
        InputError: what was raised inside, with ``--max-size-mb`` for ``budgets.max_size_mb``.
    """
    typed = "|".join(name for name, limit in limits.items() if limit is not None)
    try:
        yield
    except InputError as error:
        told = re.sub(rf"\b(?:budgets\.)?({typed})\b", _option, str(error)) if typed else str(error)
        if told == str(error):
            raise
        raise type(error)(told) from error.__cause__


def _option(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')}"
