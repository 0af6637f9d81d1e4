"""Progress of long work: bars on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

Item = TypeVar("Item")


class Progress:
    """Says nothing. The pipeline reports to this; a subclass shows it."""

    def track(
        self, items: Iterable[Item], label: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """The same items, counted under ``label`` as they pass; ``note`` gives the text beside the bar."""
        return iter(items)

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """A piece of work without a count."""
        yield

    def warn(self, line: str) -> None:
        """Something that the run survives but the user should know."""


class TerminalProgress(Progress):
    """Bars that vanish when they are full, drawn on stderr so that stdout stays clean."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def track(
        self, items: Iterable[Item], label: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """A bar where the length is known, a count where it is not; ``note`` is asked after every item."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        with self._bar() as bar:
            task = bar.add_task(label, total=total, note="")
            for item in items:
                yield item
                bar.update(task, advance=1, note=note())

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """A spinner while the work lasts."""
        with self._console.status(label):
            yield

    def warn(self, line: str) -> None:
        """A line on stderr."""
        self._console.print(f"[yellow]warning:[/] {escape(line)}", highlight=False, soft_wrap=True)

    def _bar(self) -> RichProgress:
        text = (TextColumn("{task.description}"), TextColumn("{task.fields[note]}", markup=False))
        columns = (text[0], BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), text[1])
        return RichProgress(*columns, console=self._console, transient=True)


class PlainProgress(Progress):
    """For a pipe: warnings alone, one plain line each on stderr."""

    def warn(self, line: str) -> None:
        """A line on stderr."""
        print(f"warning: {line}", file=sys.stderr)


def progress_for(console: Console) -> Progress:
    """What suits the console: bars on a terminal, plain warnings in a pipe."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress()
