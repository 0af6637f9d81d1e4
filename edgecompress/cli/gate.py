"""What a command tells continuous integration of its verdict: a JUnit file, annotations, a summary of the job."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from edgecompress.errors import EdgecompressError, OutputError

if TYPE_CHECKING:
    from edgecompress.report.gate_cases import GateCase

JUnit = Annotated[Path | None, typer.Option(metavar="FILE.xml", help="Write the outcome of each budget as JUnit XML.")]
GitHub = Annotated[bool, typer.Option("--github", help="Annotate the GitHub Actions job, and write its summary.")]
NamedAgain = Annotated[
    str | None, typer.Option(metavar="CODE", help="Converts the outputs; needed if the bundle has one.")
]
"""The postprocessing of a bundle that was measured by code."""
SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which GitHub names the file of a step's summary."""


class Gate:
    """Tells of a verdict, or of the error that a command ends in, where it is asked to.

    Args:
        title: what was checked.
        bundle: the folder that it is about; no file is written into it.
        junit: the file to write; None for none.
        github: whether GitHub is told.
        complete: whether a budget that is not measured is missed.
        aside: whether standard output holds a JSON document, so that annotations go to standard error.
    """

    def __init__(
        self, title: str, bundle: Path, *, junit: Path | None, github: bool, complete: bool = False, aside: bool = False
    ) -> None:
        from edgecompress.report import check_outside

        self._title, self._bundle, self._junit, self._github = title, bundle, junit, github
        self._complete, self._aside = complete, aside
        if junit is not None:
            check_outside(junit, bundle, "--junit")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Tell of an error of ours, which goes on its way."""
        if isinstance(error, EdgecompressError):
            from edgecompress.report.gate_cases import failed_case

            self._tell([failed_case(str(error))])

    def tell(self, verdict: Mapping[str, Any]) -> None:
        """Tell of a verdict, as JSON has it.

        Raises:
            OutputError: the JUnit file, or GitHub's summary, cannot be written.
        """
        from edgecompress.report.gate_cases import gate_cases

        self._tell(gate_cases(verdict, complete=self._complete))

    def _tell(self, cases: Sequence[GateCase]) -> None:
        if self._junit is not None:
            from edgecompress.report.junit import junit_file
            from edgecompress.system.durable import write_whole

            write_whole(self._junit, junit_file(f"edgecompress.{self._title}", cases))
        if self._github:
            from edgecompress.report.github import summary, workflow_commands

            lines = workflow_commands(f"edgecompress {self._title}", cases, self._annotated)
            print(*lines, sep="\n", end="\n" * bool(lines), file=sys.stderr if self._aside else sys.stdout)
            if place := os.environ.get(SUMMARY):
                _append(Path(place), summary(f"edgecompress {self._title}", cases))

    @property
    def _annotated(self) -> str | None:
        """The manifest, where it lies in the folder of the job."""
        manifest = self._bundle / "manifest.json"
        inside = manifest.resolve().is_relative_to(Path.cwd())
        return manifest.resolve().relative_to(Path.cwd()).as_posix() if inside else None


def _append(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")
    except OSError as error:
        raise OutputError(
            f"GITHUB_STEP_SUMMARY {str(file)!r} cannot be written: {error.strerror}; leave --github out"
        ) from error
