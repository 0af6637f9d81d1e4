"""The tree of exceptions, and that nothing else is raised where a user's mistake can lead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from edgecompress import errors
from edgecompress.errors import EdgecompressError, InputError, ModelError

PACKAGE = Path(errors.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TREE = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, EdgecompressError)
}
HANDED_ON = ("error_type", "kind", "type(error)")
"""What else makes one of ours: a parameter that holds its class."""
CAUGHT = {
    ("bundle/selftest.py", "UserError"): "main of the self-test tells it",
    ("bundle/selftest.py", "argparse.ArgumentTypeError"): "argparse tells it with the name of the argument",
    ("registry.py", "ValueError"): "the table of a recipe tells it",
    ("system/archives.py", "ValueError"): "its callers name the file",
    ("system/onnx_sanitizer.py", "Refused"): "the parent process names the file",
    ("system/durable.py", "OSError"): "what the system says of a rename",
    ("bundle/draft.py", "OSError"): "explained with all others of the output",
    ("exporters/kernel_types.py", "ValueError"): "to_ort tells what cannot be written",
    ("bundle/manifest.py", "ValueError"): "no JSON",
    ("calibration/statistics_file.py", "ValueError"): "load names the file",
    ("metrics/outputs.py", "KeyError"): "Running names the metric and the batch",
    ("metrics/running.py", "NotOneNumberError"): "Running names the metric and the batch",
    ("loading/onnx_files.py", "ValueError"): "the file is named",
    ("loading/folders/picture.py", "ValueError"): "the image is named",
    ("recipe/table.py", "TypeError"): "the key is named",
    ("loading/programs.py", "pickle.UnpicklingError"): "the program is named",
    ("training/teacher_outputs.py", "sqlite3.DatabaseError"): "the file is named",
    ("validation/elsewhere/emulated.py", "RuntimeError"): "runs in an emulator, and its last line is read",
    ("recipe/device.py", "ValueError"): "the table of a recipe tells it",
    ("validation/elsewhere/device/connection.py", "DeviceError"): "its callers tell it",
    ("validation/elsewhere/device/adb.py", "DeviceError"): "its callers tell it",
    ("validation/elsewhere/device/perf_test.py", "DeviceError"): "its callers tell it",
    ("validation/elsewhere/runtimes/adb.py", "DeviceError"): "the place tells it",
    ("validation/elsewhere/device/connection.py", "EOFError"): "what the client says is told",
    ("validation/elsewhere/device/program.py", "RuntimeError"): "runs on a device, and its last line is read",
    ("validation/elsewhere/device/supervisor.py", "GivenUpError"): "runs on a device, which answers with its text",
}
OF_THE_PROGRAM = {
    ("__init__.py", "AttributeError"): "what Python asks of a module",
    ("runtime.py", "TypeError"): "no caller passes another form",
    ("calibration/histogram.py", "ValueError"): "histograms of one tensor have the same edges",
    ("pruning/structure/zeroed_channels.py", "AssertionError"): "a graph has an output",
    ("cli/app.py", "typer.Exit"): "how typer ends after --version",
    ("cli/signals.py", "EndedBySignalError"): "the command line turns it into an exit status",
}
ELSEWHERE = {
    "{}": "a function or a constant has the text",
    "{} {}": "read_program names the file in place of it",
    "{}: {}": "what the layer below told, the file in front",
    "target {}: {}": "the same, of a profile",
    "unknown CPU {}{} are {}": "the fix is the list of those that there are",
}
"""Messages whose fix is not in the place where they are raised."""
UNTESTED: dict[str, str] = {}
"""Messages that no test has as a whole, and why."""


def _raised(path: Path) -> Iterator[tuple[str, ast.Call | None, int]]:
    """The name of what each ``raise`` makes, with the call; others pass on what there is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield ast.unparse(node.exc.func), node.exc, node.lineno
        elif isinstance(node, ast.Raise) and isinstance(node.exc, (ast.Name, ast.Attribute)):
            yield ast.unparse(node.exc), None, node.lineno


@cache
def _factories() -> frozenset[str]:
    """Functions of the package that return one of ours, as callers share them."""
    nodes = (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text())))
    return frozenset(
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) in TREE
    )


def _text(written: ast.expr) -> str:
    """A text with ``{}`` in the place of each value; a suggestion from ``nearest`` counts as a fix."""
    if isinstance(written, ast.Call) and ast.unparse(written.func).endswith(".format"):
        written = written.func.value if isinstance(written.func, ast.Attribute) else written
    pieces = written.values if isinstance(written, ast.JoinedStr) else [written]
    return "".join(str(piece.value) if isinstance(piece, ast.Constant) else _value(piece) for piece in pieces)


def _value(piece: ast.expr) -> str:
    inner = piece.value if isinstance(piece, ast.FormattedValue) else piece
    suggests = isinstance(inner, ast.Call) and ast.unparse(inner.func) == "nearest"
    always = isinstance(inner, ast.Call) and len(inner.args) == 3
    return "; {}" if (suggests and always) or ast.unparse(inner) == "suggestion" else "{}"


def _returned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What each function of a file returns, by name."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {
        function.name: [
            node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None
        ]
        for function in functions
    }


@cache
def _constants() -> dict[str, list[ast.expr]]:
    """What the constants of the package are that hold a text, by name."""
    nodes = (node for path in SOURCES for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign))
    return {
        node.targets[0].id: [node.value]
        for node in nodes
        if isinstance(node.targets[0], ast.Name) and isinstance(node.value, (ast.Constant, ast.JoinedStr))
    }


@cache
def _mistakes(path: Path) -> list[tuple[str, int]]:
    """The messages of the errors of a file that a user can cause, also where a function or a constant has the text."""
    tree = ast.parse(path.read_text())
    known = _constants() | _returned(tree)
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name, first = ast.unparse(call.func), call.args[0]
        if name == "error_type" or (name in TREE and issubclass(TREE[name], InputError)):
            origin = ast.unparse(first.func) if isinstance(first, ast.Call) else ast.unparse(first)
            found += [(_text(each), call.lineno) for each in known.get(origin, [first])]
    return found


@cache
def _written_in_tests() -> frozenset[str]:
    """Every text in the tests, with ``{}`` in the place of each value, patterns without their signs."""
    trees = (ast.parse(path.read_text()) for path in Path(__file__).parent.rglob("*.py") if path != Path(__file__))
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr)))
    return frozenset(_text(node).replace("\\", "").strip("^$\n") for node in nodes)


def test_the_drawing_is_the_tree() -> None:
    drawn = re.findall(r"^([│ ├└─]*)(\w+Error) .*exit status (\d)|^([│ ├└─]*)(\w+Error)", errors.__doc__ or "", re.M)
    names = [first or second for _, first, _, _, second in drawn]
    assert set(names) == TREE.keys()
    for indent, name, status, deeper, leaf in drawn:
        parents = {"": "Exception", "├── ": "EdgecompressError", "└── ": "EdgecompressError"}
        parent = parents.get(indent or deeper, "InputError")
        assert parent in [kind.__name__ for kind in TREE[name or leaf].__mro__[1:]]
        assert not status or TREE[name].exit_status == int(status)


def test_names_with_line_breaks_leave_one_line() -> None:
    assert str(ModelError("no layer 'a\nb'; name\r\nanother")) == "no layer 'a b'; name another"


def test_there_are_few_of_them_and_each_says_when_it_is_raised() -> None:
    assert len(TREE) <= 8
    assert all(kind.__doc__ for kind in TREE.values())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_else_is_raised(path: Path) -> None:
    place = str(path.relative_to(PACKAGE))
    for name, call, line in _raised(path):
        known = name in TREE or name in HANDED_ON or name.split(".")[-1] in _factories() or call is None
        assert known or (place, name) in CAUGHT or (place, name) in OF_THE_PROGRAM, f"line {line}: {name}"


def test_every_exception_to_that_is_needed() -> None:
    found = {(str(path.relative_to(PACKAGE)), name) for path in SOURCES for name, _, _ in _raised(path)}
    assert {*CAUGHT, *OF_THE_PROGRAM} <= found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_mistake_of_the_user_is_told_in_one_line_with_its_cause_and_fix(path: Path) -> None:
    for text, line in _mistakes(path):
        assert "\n" not in text, f"line {line}"
        assert not text.endswith((".", "!", " ")), f"line {line}"
        assert text in ELSEWHERE or ";" in text, f"line {line}: {text}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_text_of_a_mistake_has_its_test(path: Path) -> None:
    for text, line in _mistakes(path):
        assert text in ELSEWHERE or text in UNTESTED or _is_tested(text), f"line {line}: {text}"


def _is_tested(text: str) -> bool:
    """Whether a test has the whole text; a layer above may put a file's name in front."""
    told = re.compile("(.*: )?" + ".*".join(map(re.escape, text.split("{}"))))
    return any(told.fullmatch(written) for written in _written_in_tests())


def test_every_exception_to_these_is_needed() -> None:
    texts = {text for path in SOURCES for text, _ in _mistakes(path)}
    assert texts >= {*ELSEWHERE, *UNTESTED}
    assert not [text for text in UNTESTED if _is_tested(text)]
