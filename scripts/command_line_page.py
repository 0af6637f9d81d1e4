"""The page on the command line, written from the commands themselves (:mod:`scripts.written_pages`)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import typer

from edgecompress.cli.app import app
from edgecompress.cli.help import parameters

HEAD = """# The command line

Written from the program itself. The exit status is 0 within budget, 1 when a budget is missed, 2 when something that
you gave cannot be used, 3 when something inside failed, and 128 + N when signal N ended the run.

## Completion in the shell

After `edgecompress --install-completion`, a new shell completes commands, options, names of targets, metrics, losses,
runtimes and CPUs, the keys of a recipe with their values after `--set`, and files. It works in bash, zsh, fish and
PowerShell; `--show-completion` prints what is installed.
"""


def command_line_page() -> str:
    """The page: a section for each command, with its arguments and options."""
    root = typer.main.get_command(app)
    sections = [_section("edgecompress", root), *(_section(*found) for found in commands(root, "edgecompress"))]
    return "\n".join([HEAD, *sections])


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group, with what is typed to reach it."""
    for name, command in group.commands.items():
        here = f"{path} {name}"
        yield here, command
        if hasattr(command, "commands"):
            yield from commands(command, here)


def _section(path: str, command: Any) -> str:
    context = typer.Context(command)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    records = [record for group in parameters(command, context).values() for record in group]
    rows = [f"| `{_in_a_cell(names)}` | {_in_a_cell(what)} |" for names, what in records]
    table = ["| | |", "| --- | --- |", *rows, ""] if rows else []
    typed = (command.epilog or "").partition("Examples:\n")[2].partition("\n\n")[0]
    examples = ["```text", textwrap.dedent(typed), "```", ""] if typed else []
    return "\n".join([f"## {path}", "", command.help or "", "", "```text", usage, "```", "", *table, *examples])


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
