"""Plain words: docstrings, comments, messages and pages are in idiomatic English, and variables have names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_rooms import FILES, PACKAGE

PLAIN = {
    r"mend(s|ed|ing)?": "fix, repair",
    r"but\s+for": "except, without",
    r"(?<!one )of\s+which": "a relative clause with its subject first, or a sentence of its own",
    r"beside": "next to, in addition to, compared with",
    r"the\s+road": "the steps",
    r"hands?\s+on": "pass on, return",
}
"""Words to avoid, and what to write."""


OTHERS = [
    path for folder in ("tests", "benchmarks", "scripts", "examples") for path in sorted((ROOT / folder).rglob("*.py"))
]
PAGES = [ROOT / "mkdocs.yml", *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_words_are_plain_and_variables_have_names(path: Path) -> None:
    text = path.read_text()
    assert _unplain(text) == []
    assert _unnamed(text) == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words_are_plain_and_variables_have_names_elsewhere_too(path: Path) -> None:
    text = path.read_text()
    assert path == Path(__file__) or _unplain(text) == []
    assert _unnamed(text) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words_of_pages_are_plain(path: Path) -> None:
    assert _unplain(path.read_text()) == []


def test_what_is_to_be_found_is_found() -> None:
    found = _unplain("Mended, but\n    for it: the file beside it, of which none; one of which\n")
    assert sorted(found) == ["Mended", "beside", "but\n    for", "of which"]
    assert _unnamed("def f(one): return [x for one in y]\nlambda one: 1\ntorch.one(a.one)") == [1, 1, 2]
