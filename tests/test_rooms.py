"""The rooms of the package, from the ground up: a file imports from its own room and from those below it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "edgecompress"
ROOMS = (
    *("errors", "progress", "arithmetic", "arrays", "registry", "recipe", "metrics", "data", "units"),
    *("system", "targets", "step", "runtime", "modules", "calibration", "exporters", "timing", "axes"),
    *("training", "pruning", "low_rank", "quantization", "validation", "loading", "diagnosis", "techniques"),
    *("bundle", "report", "pipeline", "inspection", "comparison", "api", "cli", "__main__", "__init__"),
)
"""A room is a folder, or a file next to the folders; it stands behind all that it imports from."""
MOST_LINES, LONGEST_FUNCTION, MOST_ROOMS, MOST_FLOORS = 400, 60, 35, 14
FILES = sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_name(path) for path in FILES}


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def _imports(tree: ast.AST) -> Iterator[str]:
    """Modules of the package that are named in import statements, wherever these stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "edgecompress":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def test_every_room_is_listed_once() -> None:
    assert sorted(ROOMS) == sorted({_room(_name(path)) for path in FILES})
    assert len(ROOMS) <= MOST_ROOMS


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_file_imports_from_its_own_room_and_from_those_below(path: Path) -> None:
    room = _room(_name(path))
    below = {room, *ROOMS[: ROOMS.index(room)]}
    assert {_room(module) for module in _imports(ast.parse(path.read_text()))} <= below


def test_the_rooms_stand_on_few_floors() -> None:
    floors: dict[str, int] = {}
    for room in ROOMS:
        files = [path for path in FILES if _room(_name(path)) == room]
        below = {_room(module) for path in files for module in _imports(ast.parse(path.read_text()))} - {room}
        floors[room] = 1 + max((floors[other] for other in below), default=0)
    assert max(floors.values()) <= MOST_FLOORS


def test_no_two_files_import_each_other() -> None:
    graph = {_name(path): {*_imports(ast.parse(path.read_text()))} - {_name(path)} for path in FILES}
    assert {*TopologicalSorter(graph).static_order()} >= MODULES


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        first = function.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        begin = first.end_lineno if documented else function.lineno
        assert (function.end_lineno or 0) - (begin or 0) <= LONGEST_FUNCTION, function.name


def test_no_two_public_classes_have_one_name() -> None:
    trees = [ast.parse(path.read_text()) for path in FILES]
    counts = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert [name for name, count in counts.items() if count > 1 and not name.startswith("_")] == []
