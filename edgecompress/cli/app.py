"""The ``edgecompress`` command: its subcommands, and the one place where errors become exit statuses.

Exit status: 0 done and within budget; 1 done, and a budget is missed or left open by noise; 2 the input is wrong; 3 an
internal failure; 130 interrupted; 128 + number ended by that signal.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from edgecompress.cli import (
    benchmark,
    cache,
    compare,
    compress,
    demo,
    diff,
    inspect,
    log,
    report,
    search,
    sign,
    targets,
    validate,
)
from edgecompress.cli.help import HelpfulCommand, HelpfulGroup, examples, of_compress
from edgecompress.cli.meant import told, with_plain_numbers
from edgecompress.cli.signals import EndedBySignalError, raised_signals
from edgecompress.errors import EdgecompressError, first_line
from edgecompress.system.durable import UNWRITABLE

DEBUG = "--debug"
INTERRUPTED = 130
"""What the shell expects after Ctrl-C; typer returns it."""
MODEL = "nets.py:net --weights net.pt --calibration data.py:train"
"""What stands for a user's own in the examples."""
GO_ON = ("compare", "search")
"""Commands that keep what was done when they are ended."""
app = typer.Typer(
    name="edgecompress",
    cls=HelpfulGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=examples("start", "edgecompress demo", f"edgecompress compress {MODEL} --target mobile"),
)
app.command(
    name="compress",
    cls=HelpfulCommand,
    epilog=f"{of_compress()}\n\n"
    + examples(
        "targets",
        f"edgecompress compress {MODEL} --evaluation data.py:test",
        f"edgecompress compress {MODEL} --train data.py:train --target edge --set pruning.amount=0.4",
    ),
)(compress.run)
app.command(
    name="validate",
    cls=HelpfulCommand,
    epilog=examples(
        "bundle",
        "edgecompress validate net-mobile",
        "edgecompress validate net-mobile --evaluation data.py:test --max-accuracy-drop 1 --json",
    ),
)(validate.run)
app.command(
    name="diff",
    cls=HelpfulCommand,
    epilog=examples(
        "releases",
        "edgecompress diff net-1.0 net-1.1 --evaluation data.py:test",
        "edgecompress diff net-1.0 net-1.1 --evaluation data.py:test --max-metric-loss 0.5 --max-slowdown 5",
    ),
)(diff.run)
app.command(
    name="sign",
    cls=HelpfulCommand,
    epilog=examples(
        "bundle",
        "edgecompress sign net-mobile --key key.pem",
        "edgecompress validate net-mobile --verify-key public.pem",
    ),
)(sign.run)
app.command(
    name="benchmark",
    cls=HelpfulCommand,
    epilog=examples(
        "other-cpus",
        "edgecompress benchmark net.onnx",
        "edgecompress benchmark net.onnx net-mobile --threads 2 --batch-size 1 --batch-size 8",
    ),
)(benchmark.run)
app.command(
    name="inspect",
    cls=HelpfulCommand,
    epilog=examples(
        "why-slower",
        "edgecompress inspect net-mobile/model.onnx",
        f"edgecompress inspect {MODEL} --evaluation data.py:test --sensitivity",
    ),
)(inspect.run)
app.command(
    name="compare",
    cls=HelpfulCommand,
    epilog=examples(
        "compare",
        f"edgecompress compare {MODEL} --evaluation data.py:test",
        f"edgecompress compare {MODEL} --evaluation data.py:test --train data.py:train --set int8:cpu.threads=4",
    ),
)(compare.run)
app.command(
    name="search",
    cls=HelpfulCommand,
    epilog=examples(
        "search",
        f"edgecompress search {MODEL} --evaluation data.py:test --target mobile",
        f"edgecompress search {MODEL} --evaluation data.py:test --train data.py:train --target edge --budget-time 2h",
    ),
)(search.run)
app.command(
    name="cache",
    cls=HelpfulCommand,
    epilog=examples("search", "edgecompress cache", "edgecompress cache --limit 20GB"),
)(cache.run)
app.command(
    name="report",
    cls=HelpfulCommand,
    epilog=examples(
        "report",
        "edgecompress report net-mobile --output net.html",
        "edgecompress report net-mobile --json",
    ),
)(report.run)
app.command(
    name="log",
    cls=HelpfulCommand,
    epilog=examples(
        "releases",
        "edgecompress log net-mobile --mlflow http://mlflow.local:5000",
        "edgecompress log net-mobile --mlflow sqlite:///runs.db --experiment camera --name net-1.1",
    ),
)(log.run)
app.add_typer(targets.app, name="targets")
app.command(
    name="demo",
    cls=HelpfulCommand,
    epilog=examples("start", "edgecompress demo", "edgecompress demo --output /tmp/demo"),
)(demo.run)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edgecompress {metadata.version('edgecompress')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Show the traceback of an error; it may stand after the command, too.")
    ] = False,
) -> None:
    """Compress a trained PyTorch model into an ONNX artifact for a target, with evidence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the return value is the exit status."""
    arguments, debug = _without_debug(sys.argv[1:] if arguments is None else arguments)
    try:
        with raised_signals():
            status = app(with_plain_numbers(arguments) or ["--help"], prog_name="edgecompress", standalone_mode=False)
            sys.stdout.flush()  # what was printed reaches its place now, or is missed now
    except TyperException as error:
        return _fail(told(error.format_message(), arguments), 2)
    except EndedBySignalError as error:
        left = "; ".join(getattr(error, "__notes__", ())) or _what_is_left(arguments)
        how = "interrupted" if error.exit_status == INTERRUPTED else f"ended by {error.name}"
        return _fail(f"{how}; {left}", error.exit_status)
    except EdgecompressError as error:
        return _fail(str(error), error.exit_status, debug=debug)
    except Exception as error:
        # All files are written by those who explain what goes wrong there.
        if isinstance(error, OSError) and error.filename is None and error.errno in UNWRITABLE:
            _drop_output()
            return _fail(f"standard output cannot be written: {error.strerror}; send it elsewhere", 2)
        message = f"internal failure: {type(error).__name__}: {first_line(error)}; --debug shows where"
        return _fail(message, 3, debug=debug)
    if status == INTERRUPTED:
        return _fail(f"interrupted; {_what_is_left(arguments)}", INTERRUPTED)
    return status if isinstance(status, int) else 0


def _without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without ``--debug``, wherever it stands among the options; and whether it does.

    >>> _without_debug(["compress", "--debug", "a.py:net", "--", "--debug"])
    (['compress', 'a.py:net', '--', '--debug'], True)
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != DEBUG]
    return [*kept, *arguments[end:]], len(kept) < end


def _what_is_left(arguments: Sequence[str]) -> str:
    """What a command leaves behind that was ended, where the end itself carries no note of it.

    >>> _what_is_left(["search", "nets.py:net"]), _what_is_left(["compress", "nets.py:net"])
    ('what was done is kept, and the same command goes on', 'nothing was written')
    >>> _what_is_left(["log", "net-mobile"])
    'no run was left unfinished'
    """
    if "log" in arguments[:1]:
        return "no run was left unfinished"
    kept = any(argument in GO_ON for argument in arguments[:1])
    return "what was done is kept, and the same command goes on" if kept else "nothing was written"


def _drop_output() -> None:
    """Forget what was not printed, or Python's last act would be to try again."""
    with Path(os.devnull).open("wb") as nowhere, suppress(OSError):
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _fail(message: str, status: int, *, debug: bool = False) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
