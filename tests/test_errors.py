"""The tree of exceptions, and that nothing else is raised where a user's mistake can lead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecompress import errors
from edgecompress.errors import EdgecompressError, InputError

PACKAGE = Path(errors.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TREE = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, EdgecompressError)
}
FACTORIES = {
    "no_room",
    "error_type",
    "self.other_data",
    "sharing.other_data",
    "_unwritable",
    "_unlike",
    "unmet",
    "kind",
    "type(error)",
}
"""What makes one of ours: a parameter that holds its class, or a function that two callers share."""
CAUGHT = {
    ("archives.py", "ValueError"): "its callers name the file",
    ("durable.py", "OSError"): "what the system says of a rename",
    ("exporters/draft.py", "OSError"): "explained with all others of the output",
    ("exporters/kernel_types.py", "ValueError"): "to_ort tells what cannot be written",
    ("exporters/manifest.py", "ValueError"): "no JSON",
    ("calibration/statistics_file.py", "ValueError"): "load names the file",
    ("loading.py", "ValueError"): "the image is named",
    ("programs.py", "pickle.UnpicklingError"): "the program is named",
    ("training/teacher_outputs.py", "sqlite3.DatabaseError"): "the file is named",
    ("validation/browser.py", "ValueError"): "what a page answered, told in the manifest",
    ("validation/emulated.py", "RuntimeError"): "runs in an emulator, and its last line is read",
}
OF_THE_PROGRAM = {
    ("__init__.py", "AttributeError"): "what Python asks of a module",
    ("runtime.py", "TypeError"): "no caller hands on another form",
    ("calibration/statistics.py", "ValueError"): "histograms of one tensor have the same edges",
    ("pruning/structure/silenced.py", "AssertionError"): "a graph has an output",
    ("cli/app.py", "typer.Exit"): "how typer ends after --version",
    ("cli/signals.py", "EndedBySignalError"): "the command line turns it into an exit status",
}


def _raised(path: Path) -> Iterator[tuple[str, ast.Call | None, int]]:
    """The name of what each ``raise`` makes, with the call; others pass on what there is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield ast.unparse(node.exc.func), node.exc, node.lineno
        elif isinstance(node, ast.Raise) and isinstance(node.exc, (ast.Name, ast.Attribute)):
            yield ast.unparse(node.exc), None, node.lineno


def _message(call: ast.Call) -> str:
    """The message with ``{}`` in the place of each value; only that where it is made elsewhere."""
    first = call.args[0]
    parts = first.values if isinstance(first, ast.JoinedStr) else [first]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


def test_the_drawing_is_the_tree() -> None:
    drawn = re.findall(r"^([│ ├└─]*)(\w+Error) .*exit status (\d)|^([│ ├└─]*)(\w+Error)", errors.__doc__ or "", re.M)
    names = [first or second for _, first, _, _, second in drawn]
    assert set(names) == TREE.keys()
    for indent, name, status, deeper, leaf in drawn:
        parents = {"": "Exception", "├── ": "EdgecompressError", "└── ": "EdgecompressError"}
        parent = parents.get(indent or deeper, "InputError")
        assert parent in [kind.__name__ for kind in TREE[name or leaf].__mro__[1:]]
        assert not status or TREE[name].exit_status == int(status)


def test_there_are_few_of_them_and_each_says_when_it_is_raised() -> None:
    assert len(TREE) <= 8
    assert all(kind.__doc__ for kind in TREE.values())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_else_is_raised(path: Path) -> None:
    place = str(path.relative_to(PACKAGE))
    for name, call, line in _raised(path):
        known = name in TREE or name in FACTORIES or call is None
        assert known or (place, name) in CAUGHT or (place, name) in OF_THE_PROGRAM, f"line {line}: {name}"


def test_every_exception_to_that_is_needed() -> None:
    found = {(str(path.relative_to(PACKAGE)), name) for path in SOURCES for name, _, _ in _raised(path)}
    assert {*CAUGHT, *OF_THE_PROGRAM} <= found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_mistake_of_the_user_is_told_in_one_line_with_its_culprit(path: Path) -> None:
    for name, call, line in _raised(path):
        if call is None or name not in TREE or not issubclass(TREE[name], InputError):
            continue
        text = _message(call)
        assert "\n" not in text, f"line {line}"
        assert not text.endswith((".", "!", " ")), f"line {line}"
        assert "{}" in text or "'" in text or "--" in text or ";" in text, f"line {line}: {text}"
