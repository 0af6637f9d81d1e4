"""What ``--help`` prints, within 80 columns: what is typed, without braces and types, two examples, and the page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

from edgecompress.errors import InputError

WIDTH = 78
BRACES = re.compile(r"^\{(.*)\}(\.\.\.)?$")
"""Around an argument that must be given."""
OPTION = re.compile(r"(--\S+) (?!-)")
"""With the space before its value."""
TYPE = re.compile(r" <[^<>]*>$")
"""Behind the name of an argument."""
KEYS = {
    "pruning.amount=0.4": "share of the channels, or of pruning.goal, that goes",
    "pruning.goal=latency": "channels, macs, parameters or latency",
    "training.epochs=8": "passes over the training data after a cut",
    "quantization.enabled=false": "keep floats",
    "quantization.scheme=fbgemm": "integers for x86; qnnpack for Arm",
    "quantization.observer=mse": "how the ranges of activations are chosen",
    'quantization.keep_float=["head"]': "layers that stay float",
    "export.batch_size=1": "a fixed batch; by default it may vary",
    "cpu.threads=4": "of the timed sessions",
    "budgets.max_accuracy_drop=1": "points of accuracy that may be lost; none for no limit",
}
"""The keys of a recipe that are changed most."""


class HelpfulCommand(TyperCommand):
    """A command whose help lists its parameters as they are typed, and ends in its epilog as that is written.

    An option with one value is refused where it is given twice; the parser would take the last.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments that are left, as the parser has them."""
        given = self.make_parser(ctx).parse_args([*args])[2]
        for parameter in self.get_params(ctx):
            single = isinstance(parameter, TyperOption) and not (parameter.multiple or parameter.is_flag)
            if single and given.count(parameter) > 1:
                raise InputError(f"{parameter.opts[0]} is given {given.count(parameter)} times; give it once")
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the command in the line on its usage."""
        return [BRACES.sub(r"\1\2", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then options."""
        _list_parameters(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Examples and the page."""
        formatter.write(f"\n{self.epilog}\n" if self.epilog else "")


class HelpfulGroup(TyperGroup):
    """A group of commands whose help has the whole of the first sentence on each."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Options, then commands."""
        _list_parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """A line or more for each command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(command.help or "")) for name, command in self.commands.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Examples and the page."""
        formatter.write(f"\n{self.epilog}\n" if self.epilog else "")


def parameters(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """The arguments and options of a command, each as it is typed and what it is."""
    found: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            found[kind].append((TYPE.sub("", record[0]) if kind == "Arguments" else record[0], record[1]))
    return found


def examples(page: str, *commands: str) -> str:
    """The end of a command's help: commands that can be typed, and the page of the documentation.

    >>> print(examples("start", "edgecompress demo"))
    Examples:
      edgecompress demo
    <BLANKLINE>
    Page: docs/start.md
    """
    lines = [line for command in commands for line in _broken(command)]
    return "\n".join(["Examples:", *lines, "", f"Page: docs/{page}.md"])


def of_compress() -> str:
    """The targets and the keys that are changed most, for the help of ``compress``."""
    from edgecompress.targets import device_names, strategy_names

    names = {"Targets": strategy_names(), "Devices": device_names()}
    listed = [line for title, each in names.items() for line in _filled(f"{title}: {', '.join(each)}")]
    return "\n".join([*listed, "", "Keys for --set (targets show NAME has all):", *_table(KEYS)])


def _list_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    for title, rows in parameters(command, ctx).items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _broken(command: str) -> Iterator[str]:
    """A command within the width, broken before an option; each line but the last ends in a backslash."""
    whole = OPTION.sub("\\1\0", command)
    lines = textwrap.wrap(whole, WIDTH - 4, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    ends = [" \\"] * (len(lines) - 1) + [""]
    yield from ("  " + line.replace("\0", " ") + end for line, end in zip(lines, ends, strict=True))


def _filled(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, rows))
    for key, what in rows.items():
        first, *rest = textwrap.wrap(what, WIDTH - width - 4)
        yield f"  {key:<{width}}  {first}"
        yield from (f"{'':{width + 4}}{line}" for line in rest)
