"""Messages name arguments in Python and options on the command line; all else in them stays."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import DataError, ModelError
from edgecompress.recipe.wording import COMMAND, in_options, in_python_words, python_words
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
