"""Plain words: docstrings, comments and messages of the package are in idiomatic English, and variables have names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_rooms import FILES, PACKAGE, ROOMS

TO_DO = ("validation/elsewhere",)
"""Rooms and files whose words are still to be gone over."""
PLAIN = {
    r"mend(s|ed|ing)?": "fix, repair",
    r"but\s+for": "except, without",
    r"(?<!one )of\s+which": "a relative clause with its subject first, or a sentence of its own",
    r"beside": "next to, in addition to, compared with",
    r"the\s+road": "the steps",
    r"hands?\s+on": "passes on, returns",
}
"""Words to avoid, and what to write."""


def _is_done(path: Path) -> bool:
    name = path.relative_to(PACKAGE).as_posix()
    return not any(name in (left, f"{left}.py") or name.startswith(f"{left}/") for left in TO_DO)


DONE = [path for path in FILES if _is_done(path)]


def _unplain(text: str) -> list[str]:
    patterns = [rf"(?i)(?<![a-z]){words}(?![a-z])" for words in PLAIN]
    return [match.group() for pattern in patterns for match in re.finditer(pattern, text)]


def _unnamed(text: str) -> list[int]:
    """Lines with a variable or a parameter that is called ``one``."""
    nodes = ast.walk(ast.parse(text))
    return sorted(
        node.lineno
        for node in nodes
        if (isinstance(node, ast.Name) and node.id == "one") or (isinstance(node, ast.arg) and node.arg == "one")
    )


@pytest.mark.parametrize("path", DONE, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_words_are_plain_and_variables_have_names(path: Path) -> None:
    text = path.read_text()
    assert _unplain(text) == []
    assert _unnamed(text) == []


def test_what_is_to_be_found_is_found() -> None:
    found = _unplain("Mended, but\n    for it: the file beside it, of which none; one of which\n")
    assert sorted(found) == ["Mended", "beside", "but\n    for", "of which"]
    assert _unnamed("def f(one): return [x for one in y]\nlambda one: 1\ntorch.one(a.one)") == [1, 1, 2]


def test_what_is_left_to_do_is_there() -> None:
    assert {left.split("/")[0] for left in TO_DO} <= set(ROOMS)
