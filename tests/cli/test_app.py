"""Exit statuses, and one line for whatever goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer

from edgecompress.cli import main
from edgecompress.cli.app import app
from edgecompress.errors import EdgecompressError, ParityError, RecipeError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compres"], "Did you mean 'compress'"),
        (["compress"], "MODEL is missing"),
        (["compress", "a.py:b", "--foo"], "there is no option --foo"),
        (["benchmark", "a.onnx", "--threads", "x"], "--threads"),
        (["targets"], "a command is missing"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert words in captured.err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["compress", "--help"]])
def test_help_is_exit_0(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "Usage: edgecompress" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (RecipeError("unknown target 'x'"), 2, "error: unknown target 'x'"),
        (ParityError("step 'export' changed"), 3, "error: step 'export' changed"),
        (EdgecompressError("inside"), 3, "error: inside"),
        (KeyError("lost"), 3, "error: internal failure: KeyError: 'lost'; --debug shows where"),
        (KeyboardInterrupt(), 130, "error: interrupted; nothing was written"),
    ],
)
def test_each_failure_has_its_status_and_one_line(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("edgecompress.targets.provenance.read_chain", fail)
    assert main(["targets", "show", "mobile"]) == status
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize("place", range(4))
def test_debug_shows_the_traceback_wherever_it_stands(place: int, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["targets", "show", "mobil"]
    arguments.insert(place, "--debug")
    assert main(arguments) == 2
    captured = capsys.readouterr().err
    assert "Traceback" in captured
    assert captured.splitlines()[-1].startswith("error: unknown target 'mobil'")


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield from _commands(command, (*path, name)) if hasattr(command, "commands") else [(*path, name)]


@pytest.mark.parametrize("command", list(_commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_takes_debug_before_and_after_it(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--debug", *command, "--help"], [*command, "--debug", "--help"]):
        assert main(arguments) == 0
        assert f"Usage: edgecompress {' '.join(command)}" in capsys.readouterr().out


def test_debug_alone_is_no_argument_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug"]) == 0
    assert "Usage: edgecompress" in capsys.readouterr().out


def test_what_stands_after_two_dashes_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "show", "--", "--debug"]) == 2
    captured = capsys.readouterr().err
    assert captured.startswith("error: ")
    assert "--debug" in captured


def test_the_module_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "edgecompress", "targets", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "much smaller model" in done.stdout


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"edgecompress {metadata.version('edgecompress')}\n"


@pytest.mark.parametrize("arguments", [["targets", "list"], ["targets", "list", "--json"], ["--version"]])
def test_a_standard_output_that_is_full_is_named(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "edgecompress", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    line = "error: standard output cannot be written: No space left on device; send it elsewhere\n"
    assert (done.returncode, done.stderr) == (2, line)
