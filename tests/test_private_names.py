"""A test uses public names: a private one can be moved or renamed, and no test of another file breaks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

TESTS = sorted({*(ROOT / "tests").rglob("*.py")} - {Path(__file__)})
OURS = ("edgecompress", "benchmarks", "scripts", "tests")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name.strip("_") != ""


@cache
def _private_names_of_the_package() -> frozenset[str]:
    """What its files define with a leading underscore: functions, classes, variables and attributes."""
    nodes = [node for path in (ROOT / "edgecompress").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    stored = [node for node in nodes if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store)]
    defined |= {node.id if isinstance(node, ast.Name) else node.attr for node in stored}
    return frozenset(filter(_is_private, defined))


def _private_uses(tree: ast.AST) -> Iterator[str]:
    """Imports, attributes of other objects, and names in texts, as ``monkeypatch.setattr`` takes them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_private(alias.name))
        elif isinstance(node, ast.Attribute) and node.attr in _private_names_of_the_package():
            owner = ast.unparse(node.value)
            yield from [] if owner in ("self", "cls", "torch") else [f"{owner}.{node.attr}"]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _private_in_text(node.value)


def _private_in_text(text: str) -> Iterator[str]:
    """A path of a private name, a private name by itself, and the code of a child process."""
    first, _, last = text.rpartition(".")
    if all(part.isidentifier() for part in text.split(".")):
        ours = first.split(".")[0] in OURS or (not first and last in _private_names_of_the_package())
        yield from [text] if ours and _is_private(last) else []
    elif "import" in text and "edgecompress" in text:
        yield from _private_uses(_parsed(text))


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError:  # prose, or a text that a test fills in
        return ast.Module(body=[], type_ignores=[])


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_test_uses_no_private_name_of_another_file(path: Path) -> None:
    assert [*_private_uses(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize(
    "line",
    [
        "from edgecompress.errors import _x",
        "from tests.networks import _x",
        "edgecompress.units._megabytes",
        "monkeypatch.setattr(units, '_megabytes', None)",
        "monkeypatch.setattr('edgecompress.units._megabytes', None)",
        "CODE = '''\nfrom edgecompress import units\nunits._megabytes()\n'''",
    ],
)
def test_each_use_of_a_private_name_is_seen(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "_private_names_of_the_package", lambda: {"_megabytes"})
    assert len([*_private_uses(ast.parse(line))]) == 1


@pytest.mark.parametrize(
    "line",
    ["from torch.utils import _pytree", "self._own", "model._forward_hooks", "name = '_'", "name = '_of_others'"],
)
def test_names_of_others_and_of_the_file_itself_are_free(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "_private_names_of_the_package", lambda: {"_megabytes"})
    assert [*_private_uses(ast.parse(line))] == []
