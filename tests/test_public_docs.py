"""What is public says what it takes and gives: every argument, shapes of tensors, units of figures, errors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import edgecompress

RECORDS = ("Bundle", "QuantizedModel", "Recipe", "Refusal", "StepResult")
"""Classes whose instances are made by the package; what they hold is documented as attributes."""
UNITS = {
    "_ms": "millisecond",
    "_mb": "megabyte",
    "_db": "dB",
    "accuracy_drop": "percentage point",
    "metric_drop": "unit",
}
"""The end of a name, and the word that its description has."""
DELEGATES = re.compile(r"(arguments|errors)[^.]*\bof :(?:meth|func):`(\w+)`")


def _callables() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Public functions, methods and constructors by name, each with the docstring that tells of it."""
    for name in edgecompress.__all__:
        value = getattr(edgecompress, name)
        if inspect.isfunction(value):
            yield name, value, inspect.getdoc(value) or ""
        elif inspect.isclass(value) and not issubclass(value, Exception):
            if name not in RECORDS and "__init__" in vars(value):
                yield name, value, inspect.getdoc(value) or ""
            own = [(key, getattr(value, key)) for key in vars(value) if not key.startswith("_")]
            methods = [(key, member) for key, member in own if inspect.isfunction(member)]
            if name != "Recipe":  # pydantic's own
                yield from ((f"{name}.{key}", member, inspect.getdoc(member) or "") for key, member in methods)


DOCS = {name: (function, doc) for name, function, doc in _callables()}


def _section(doc: str, title: str) -> str:
    """The text of a section, without its title."""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)*)", doc + "\n", re.M)
    return found[1] if found else ""


def _described(name: str) -> dict[str, str]:
    """Arguments and what is said of each; also where the docstring refers to that of another function."""
    entries = re.split(r"^    (\w+): ", _section(DOCS[name][1], "Args"), flags=re.M)[1:]
    described = dict(zip(entries[::2], entries[1::2], strict=True))
    for other in _referred(name, "arguments"):
        described = {**_described(other), **described}
    return described


def _referred(name: str, what: str) -> list[str]:
    owner = name.rpartition(".")[0]
    doc = " ".join(DOCS[name][1].split())
    sentences = [sentence for sentence in re.split(r"(?<=\.) ", doc) if what in sentence]
    found = [match[2] for sentence in sentences for match in DELEGATES.finditer(sentence)]
    return [f"{owner}.{other}" if f"{owner}.{other}" in DOCS else other for other in found]


def _raises(name: str) -> bool:
    return bool(_section(DOCS[name][1], "Raises")) or any(map(_raises, _referred(name, "errors")))


def _parameters(name: str) -> list[inspect.Parameter]:
    own = inspect.signature(DOCS[name][0]).parameters.values()
    return [parameter for parameter in own if parameter.name != "self"]


@pytest.mark.parametrize("name", DOCS)
def test_every_argument_and_every_error_is_told(name: str) -> None:
    assert {parameter.name for parameter in _parameters(name)} <= _described(name).keys()
    assert _raises(name) or not _parameters(name)


@pytest.mark.parametrize("name", DOCS)
def test_nothing_is_told_that_is_not_there(name: str) -> None:
    entries = re.findall(r"^    (\w+): ", _section(DOCS[name][1], "Args"), flags=re.M)
    assert {*entries} <= {parameter.name for parameter in _parameters(name)}


@pytest.mark.parametrize("name", DOCS)
def test_shapes_and_units_are_told(name: str) -> None:
    described = _described(name)
    for parameter in _parameters(name):
        told, kind = described[parameter.name], str(parameter.annotation)
        if re.search(r"\bTensor\b", kind):
            assert re.search(r"\(.*\)|shape", told), parameter.name
        if re.search(r"\bData\b", kind):
            assert re.search(r"\bbatches\b|\bthe same\b", told), parameter.name
        for end, unit in UNITS.items():
            assert unit in told or not parameter.name.endswith(end), parameter.name
    if re.search(r"\bTensor\b", str(inspect.signature(DOCS[name][0]).return_annotation)):
        assert re.search(r"\(.*\)|shape|scalar", _section(DOCS[name][1], "Returns"))


def test_the_docstrings_are_read_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    doc = "First.\n\nArgs:\n    one: (rows,),\n        float32.\n    two: s.\n\nRaises:\n    ModelError: no.\n\n>>> 1\n"
    monkeypatch.setitem(DOCS, "first", (len, doc))
    monkeypatch.setitem(DOCS, "second", (len, "Second. The arguments and the errors are those of :func:`first`."))
    monkeypatch.setitem(DOCS, "third", (len, "Third. It is told of :func:`first`, which has arguments. Errors end it."))
    for name in ("first", "second"):
        assert _described(name) == {"one": "(rows,),\n        float32.\n", "two": "s.\n\n"}
        assert _raises(name)
    assert _described("third") == {}
    assert not _raises("third")
