"""Messages name arguments in Python and options on the command line; all else in them stays."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgecompress
from edgecompress.errors import DataError, ModelError
from edgecompress.progress import Item, Progress
from edgecompress.recipe.wording import ADVISES, COMMAND, caller_warnings, in_options, in_python_words, python_words
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("option", "argument"),
    [
        ("give train (--train)", "give train"),
        ("give it (--train)", "give it (train)"),
        ("leave --batch-size out", "leave batch_size out"),
        ("choose another --output or add --overwrite", "choose another output or give overwrite=True"),
        ("see why (inspect --sensitivity)", "see why (inspect(model, sensitivity=True))"),
        ("no layer 'x'; inspect lists the names", "no layer 'x'; inspect(model) lists the names"),
        ("unknown; targets list names them", "unknown; profile_names() names them"),
        ("unknown; give 'android' (targets list shows all)", "unknown; give 'android' (profile_names() shows all)"),
        ("or set budgets.min_speedup=2", "or give overrides=['budgets.min_speedup=2']"),
        ("or set quantization.scheme=fbgemm, or not", "or give overrides=['quantization.scheme=fbgemm'], or not"),
        ("unsigned; edgecompress sign --key KEY.pem signs it", "unsigned; edgecompress sign --key KEY.pem signs it"),
        ("none; run npm install --prefix DIR onnxruntime-web", "none; run npm install --prefix DIR onnxruntime-web"),
        ("a - b -- c", "a - b -- c"),
    ],
)
def test_what_is_said_of_options_is_said_of_arguments(option: str, argument: str) -> None:
    assert python_words(option) == argument


@given(st.text("abc'.;=() -", max_size=40).filter(lambda text: "--" not in text))
def test_a_message_without_options_stays(text: str) -> None:
    assert python_words(text) == text


def test_an_error_keeps_its_class_and_its_cause() -> None:
    @in_python_words
    def fail(cause: Exception) -> None:
        raise ModelError("no such model; give --model") from cause

    cause = OSError("gone")
    with pytest.raises(ModelError, match=r"^no such model; give model$") as caught:
        fail(cause)
    assert caught.value.__cause__ is cause
    with pytest.raises(ModelError, match=r"^no such model; give --model$"):
        in_options(fail)(cause)


def test_what_is_not_of_ours_passes() -> None:
    @in_python_words
    def fail(error: Exception) -> None:
        raise error

    for error in (KeyError("--train"), DataError("no option in it")):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert caught.value is error


class Heard(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def track(self, items: Iterable[Item], label: str, *_: Any, **__: Any) -> Iterator[Item]:
        self.lines.append(label)
        yield from items

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        self.lines.append(label)
        yield
        self.lines.append("done")

    def warn(self, line: str) -> None:
        self.lines.append(line)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A record with advice, and a text that is the caller's own."""

    name: str
    advice: str | None = field(default=None, metadata=ADVISES)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Records in a record."""

    rows: tuple[Row, ...] = field(default=(), metadata=ADVISES)
    named: Mapping[str, Row] = field(default_factory=dict, metadata=ADVISES)
    last: Row = Row(name="--last", advice="add --overwrite")


IN_OPTIONS, IN_PYTHON = Row(name="--train", advice="give --train"), Row(name="--train", advice="give train")


@in_python_words
def _run(*, progress: Progress | None, tell: Callable[[Row], None] = lambda _: None) -> Table:
    tell(IN_OPTIONS)
    if progress is not None:
        with progress.step("training"):
            assert list(progress.track([1, 2], "epoch 1", "step")) == [1, 2]
            progress.warn("give --train")
    return Table(rows=(IN_OPTIONS, Row(name="")), named={"--first": IN_OPTIONS})


@pytest.mark.parametrize(("words", "told"), [(in_python_words, IN_PYTHON), (in_options, IN_OPTIONS)])
def test_what_a_run_tells_and_returns_is_in_the_caller_s_words(words: Callable[..., Any], told: Row) -> None:
    heard, rows = Heard(), list[Row]()
    found = words(_run)(progress=heard, tell=rows.append)
    assert heard.lines == ["training", "epoch 1", told.advice, "done"]
    assert rows == [told]
    assert found == Table(rows=(told, Row(name="")), named={"--first": told})


def test_what_has_no_advice_is_returned_itself() -> None:
    for value in (object(), "give --train", ("give --train",), Row):
        assert in_python_words(lambda same: same)(value) is value
    assert _run(progress=None) == Table(rows=(IN_PYTHON, Row(name="")), named={"--first": IN_PYTHON})


def test_callers_who_give_nothing_to_be_told_are_warned_in_their_words_at_their_line() -> None:
    with pytest.warns(UserWarning, match="^give train$") as told:
        caller_warnings().warn("give --train")
    assert told[0].filename == __file__


def test_warnings_of_python_s_are_made_in_python_s_words_alone() -> None:
    names = {path.relative_to(PACKAGE).as_posix() for path in SOURCES if "CallerWarnings" in path.read_text()}
    assert names == {"progress.py", "recipe/wording.py"}


@pytest.mark.parametrize("name", edgecompress.__all__)
def test_whoever_tells_of_progress_in_python_has_its_words(name: str) -> None:
    public = getattr(edgecompress, name)
    members = vars(public).values() if inspect.isclass(public) and public.__module__.startswith(API) else [public]
    functions = [getattr(member, "__func__", member) for member in members]
    told = [each for each in functions if inspect.isfunction(each) and _is_told(each)]
    assert [each for each in told if not hasattr(each, "__wrapped__")] == []


def _is_told(function: Callable[..., Any]) -> bool:
    return not inspect.signature(function).parameters.keys().isdisjoint(("progress", "tell"))


API = "edgecompress.api"
PACKAGE = ROOT / "edgecompress"
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "cli"]


def _texts_of_errors(path: Path) -> Iterator[str]:
    """What is told where an error is made, with ``{}`` in the place of each value."""
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("Error", "error_type", "number")):
            for told in call.args:
                pieces = told.values if isinstance(told, ast.JoinedStr) else [told]
                yield "".join(str(piece.value) if isinstance(piece, ast.Constant) else "{}" for piece in pieces)


def test_no_error_names_an_option_in_python() -> None:
    """All that any layer tells, whichever function of Python leads there; commands stay as they are typed."""
    told = [text for path in SOURCES for text in _texts_of_errors(path)]
    assert any("--" in text for text in told)
    left = [re.sub(COMMAND, "", python_words(text)) for text in told]
    assert [text for text in left if re.search(r"--\w", text)] == []
