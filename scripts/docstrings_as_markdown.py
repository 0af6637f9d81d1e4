"""Docstrings as the site reads them: Sphinx's roles become code, doctests become blocks."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension

ROLE = re.compile(r":\w+:`(~?)([\w.]+)`")
DOCTEST = re.compile(r"^( *)>>> .*(?:\n\1\S.*)*", re.MULTILINE)


class Docstrings(Extension):
    """Converts every docstring that griffe reads."""

    def on_object(self, *, obj: Any, **kwargs: Any) -> None:  # noqa: ARG002 - what griffe calls it with
        """Convert the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring without roles, its doctests in fences.

    >>> as_markdown("See :func:`~a.b`.")
    'See `b`.'
    """
    text = ROLE.sub(lambda role: f"`{role[2].rpartition('.')[2] if role[1] else role[2]}`", text)
    return DOCTEST.sub(lambda found: f"{found[1]}```python\n{found[0]}\n{found[1]}```", text)
