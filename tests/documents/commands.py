"""Commands of a block, run as a shell would run them, except for what is in this process already."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from edgecompress.cli import main

QUICK = (
    "export.simplify=false",
    "cpu.runs=10",
    "training.epochs=1",
    "quantization.fallback_evaluations=0",
    "quantization.adaround=false",
    "quantization.bias_correction=false",
    "pruning.spread=uniform",
    "budgets.min_speedup=1.1",
)
"""What a command that compresses is given before its own settings, which come later and win."""

SHELL = re.compile(r"[|;&`<]|\$\(|>>")
"""What needs a shell."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command printed, on both streams, and its exit status."""

    command: str
    status: int
    output: str

    @property
    def passed(self) -> bool:
        """0; or 1 where that says that a budget was missed: networks this small are timed on a machine that is busy."""
        judged = re.match(r"edgecompress (compress|diff|validate)\b", self.command)
        return self.status == 0 or bool(judged and self.status == 1)


def commands_of(text: str) -> list[str]:
    """The commands of a shell block; a backslash goes on in the next line, ``#`` starts a comment."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    uncommented = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [line for line in uncommented if line]


def run_command(command: str) -> Done:
    """Run one command in the current folder."""
    words = shlex.split(command)
    if SHELL.search(command) or words[0] not in ("edgecompress", "python"):
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return Done(command=command, status=done.returncode, output=done.stdout + done.stderr)
    target = None
    if ">" in words:
        words, target = words[: words.index(">")], words[words.index(">") + 1]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err if target else out):
        status = main(_quick(words[1:])) if words[0] == "edgecompress" else _run_script(words[1:])
    if target is not None:
        Path(target).write_text(out.getvalue())
    return Done(command=command, status=status, output=err.getvalue() if target else out.getvalue())


def _quick(arguments: list[str]) -> list[str]:
    settings = [word for setting in QUICK for word in ("--set", setting)]
    if arguments[:1] in (["compress"], ["compare"]):
        return [*arguments[:2], *settings, *arguments[2:]]
    if arguments[:2] == ["targets", "recommend"] and "--model" in arguments:
        return [*arguments[:2], *settings, *arguments[2:]]
    return arguments


def _run_script(arguments: list[str]) -> int:
    """``python FILE ...`` as a program of its own, in this process: PyTorch takes seconds to start."""
    folder = str(Path(arguments[0]).resolve().parent)
    with mock.patch.object(sys, "argv", arguments), mock.patch.object(sys, "path", [folder, *sys.path]):
        try:
            runpy.run_path(arguments[0], run_name="__main__")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
