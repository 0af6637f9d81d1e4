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
    ("onnx_files.py", "ValueError"): "the file is named",
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
ELSEWHERE = {
    "{}": "a function or a constant has the text",
    "{} {}": "read_program names the file in place of it",
    "{}: {}": "what the layer below told, the file in front",
    "target {}: {}": "the same, of a profile",
    "unknown CPU {}{} are {}": "the mend is the list of those that there are",
}
"""Messages whose mend is not in the place where they are raised."""


def _raised(path: Path) -> Iterator[tuple[str, ast.Call | None, int]]:
    """The name of what each ``raise`` makes, with the call; others pass on what there is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield ast.unparse(node.exc.func), node.exc, node.lineno
        elif isinstance(node, ast.Raise) and isinstance(node.exc, (ast.Name, ast.Attribute)):
            yield ast.unparse(node.exc), None, node.lineno


def _parts(call: ast.Call) -> list[str]:
    """What is written in a message, in pieces around its values; a suggestion from ``nearest`` is one of them."""
    first = call.args[0]
    pieces = first.values if isinstance(first, ast.JoinedStr) else [first]
    return [str(piece.value) if isinstance(piece, ast.Constant) else _value(piece) for piece in pieces]


def _value(piece: ast.expr) -> str:
    inner = piece.value if isinstance(piece, ast.FormattedValue) else piece
    suggests = isinstance(inner, ast.Call) and ast.unparse(inner.func) == "nearest"
    always = isinstance(inner, ast.Call) and len(inner.args) == 3
    return "; {}" if (suggests and always) or ast.unparse(inner) == "suggestion" else "{}"


def _message(call: ast.Call) -> str:
    """The message with ``{}`` in the place of each value; only that where it is made elsewhere."""
    return "".join(_parts(call))


def _mistakes(path: Path) -> Iterator[tuple[ast.Call, int]]:
    """The errors of a file that a user can cause."""
    for name, call, line in _raised(path):
        mistake = name == "error_type" or (name in TREE and issubclass(TREE[name], InputError))
        if call is not None and call.args and mistake:
            yield call, line


@cache
def _written_in_tests() -> str:
    """Every text in the tests, patterns without their backslashes."""
    trees = (ast.parse(path.read_text()) for path in Path(__file__).parent.rglob("*.py") if path != Path(__file__))
    texts = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "\n".join(text.replace("\\", "") for text in texts if isinstance(text, str))


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
        known = name in TREE or name in FACTORIES or call is None
        assert known or (place, name) in CAUGHT or (place, name) in OF_THE_PROGRAM, f"line {line}: {name}"


def test_every_exception_to_that_is_needed() -> None:
    found = {(str(path.relative_to(PACKAGE)), name) for path in SOURCES for name, _, _ in _raised(path)}
    assert {*CAUGHT, *OF_THE_PROGRAM} <= found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_mistake_of_the_user_is_told_in_one_line_with_its_culprit_and_mend(path: Path) -> None:
    for call, line in _mistakes(path):
        text = _message(call)
        assert "\n" not in text, f"line {line}"
        assert not text.endswith((".", "!", " ")), f"line {line}"
        assert text in ELSEWHERE or ";" in text, f"line {line}: {text}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_text_of_a_mistake_has_its_test(path: Path) -> None:
    for call, line in _mistakes(path):
        missing = [part for part in map(_bare, _parts(call)) if part not in _written_in_tests()]
        assert not missing, f"line {line}: {missing}"


def _bare(part: str) -> str:
    """A piece without what quotes the values beside it; a short one tells nothing."""
    bare = part.replace("{}", "").strip(" '\"")
    return bare if len(bare) > 3 else ""


def test_every_text_that_is_made_elsewhere_is_needed() -> None:
    assert {_message(call) for path in SOURCES for call, _ in _mistakes(path)} >= set(ELSEWHERE)
