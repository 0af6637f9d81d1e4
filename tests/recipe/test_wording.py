"""Messages name arguments in Python and options on the command line; all else in them stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import DataError, ModelError
from edgecompress.recipe.wording import in_options, in_python_words, python_words


@pytest.mark.parametrize(
    ("option", "argument"),
    [
        ("give train (--train)", "give train"),
        ("give it (--train)", "give it (train)"),
        ("leave --batch-size out", "leave batch_size out"),
        ("see why (inspect --sensitivity)", "see why (inspect(model, sensitivity=True))"),
        ("no layer 'x'; inspect lists the names", "no layer 'x'; inspect(model) lists the names"),
        ("unknown; targets list names them", "unknown; profile_names() names them"),
        ("or set budgets.min_speedup=2", "or give overrides=['budgets.min_speedup=2']"),
        ("or set quantization.scheme=fbgemm, or not", "or give overrides=['quantization.scheme=fbgemm'], or not"),
        ("unsigned; edgecompress sign --key KEY.pem signs it", "unsigned; edgecompress sign --key KEY.pem signs it"),
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
