"""The help of every command: it fits a terminal, is whole, and its examples can be typed."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from edgecompress.cli.app import app, main
from edgecompress.cli.help import KEYS, examples
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import profile_names
from tests.conftest import ROOT

COMMANDS = (
    *("", "compress", "validate", "diff", "sign", "benchmark", "inspect", "compare", "search", "report", "log"),
    *("cache", "demo"),
    *("targets", "targets list", "targets show", "targets recommend", "targets schema"),
)
FEWEST = 2
"""Examples of a command."""


def _help(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    return capsys.readouterr().out


def _examples(text: str) -> list[str]:
    typed = text.partition("\nExamples:\n")[2].partition("\n\n")[0]
    return [" ".join(line.split()) for line in typed.replace("\\\n", " ").splitlines()]


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that is meant, and what it is given."""
    found: Any = typer.main.get_command(app)
    while hasattr(found, "commands"):
        found, words = found.commands[words[0]], words[1:]
    return found, words


def test_all_commands_are_here() -> None:
    root: Any = typer.main.get_command(app)
    paths = {
        f"{name} {inner}".strip()
        for name, command in root.commands.items()
        for inner in ("", *getattr(command, "commands", ()))
    }
    assert {"", *paths} == {*COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_whole_within_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _help(command, capsys, monkeypatch)
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"\{|<[a-z]+[ >\[]|[a-z,]\.\.\.( |$)", text) is None  # braces, types, sentences that are cut


@pytest.mark.parametrize("command", COMMANDS)
def test_it_ends_in_examples_and_a_page(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _help(command, capsys, monkeypatch)
    typed = _examples(text)
    assert len(typed) >= FEWEST
    for line in typed:
        assert line.startswith("edgecompress ")
        inner, words = _command(shlex.split(line.partition(" > ")[0])[1:])
        inner.make_context("example", words)  # which refuses what there is not
    page = re.search(r"\nPage: docs/(\S+)$", text.rstrip())
    assert page is not None
    assert (ROOT / "docs" / page[1]).is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_is(command: str) -> None:
    inner: Any = typer.main.get_command(app)
    for name in command.split():
        inner = inner.commands[name]
    assert [parameter.name for parameter in inner.params if not parameter.help] == []


def test_compress_names_the_targets_and_keys_that_can_be_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _help("compress", capsys, monkeypatch)
    assert [name for name in profile_names() if name not in text] == []
    for assignment in KEYS:
        assert f"\n  {assignment} " in text
        assert override(Recipe(), [assignment]) is not None


def test_an_example_is_broken_before_an_option() -> None:
    long = "edgecompress compress nets.py:net --weights net.pt --calibration data.py:train --evaluation data.py:test"
    first, second, *_ = examples("start", long).splitlines()[1:]
    assert (first.endswith(" \\"), second.strip().startswith("--")) == (True, True)
    assert _examples("\n" + examples("start", long)) == [long]


@pytest.mark.parametrize(
    "words",
    [
        ["targets", "recommend", "--cpu", "pixel", "--cpu", "zen3"],
        ["targets", "recommend", "--cpu=pixel", "--max-size-mb", "3", "--cpu", "zen3"],
        ["compress", "nets.py:net", "--target", "edge", "--target", "mobile"],
        ["compress", "nets.py:net", "-o", "first", "--output", "second"],
    ],
)
def test_an_option_with_one_value_is_given_once(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    name = "--cpu" if "recommend" in words else "--output" if "-o" in words else "--target"
    assert capsys.readouterr().err == f"error: {name} is given 2 times; give it once\n"


def test_options_that_take_several_values_and_flags_may_stand_twice(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["targets", "recommend", "--set", "seed=1", "--set", "cpu.runs=20", "--train-data", "--train-data"]
    assert main(words) == 0
    assert "--set seed=1 --set cpu.runs=20" in capsys.readouterr().out
