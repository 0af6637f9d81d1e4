"""Progress of long work: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

Item = TypeVar("Item")
PACKAGE = str(Path(__file__).parent / "_")[:-1]
"""Beginning of the paths of this package's files."""
LINE_SECONDS = 30.0
"""Seconds between two lines to a pipe: a log tells where a long run is, and a short run stays silent."""


class Progress:
    """Says nothing. The pipeline reports to this; a subclass shows it."""

    def track(
        self, items: Iterable[Item], label: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """The same items, counted under ``label`` as they pass; ``note`` gives the text next to the bar."""
        return iter(items)

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """A piece of work without a count."""
        yield

    def warn(self, line: str) -> None:
        """Something that the run survives but the user should know."""


class CallerWarnings(Progress):
    """Progress for callers in Python: each warning is a ``UserWarning`` at their own line."""

    def warn(self, line: str) -> None:
        """A warning of Python's, at the innermost line outside of this package."""
        level, frame = 2, sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
            level, frame = level + 1, frame.f_back
        warnings.warn(line, stacklevel=level)


class TerminalProgress(Progress):
    """Bars that vanish when they are full, drawn on stderr so that stdout stays clean."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def track(
        self, items: Iterable[Item], label: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """A bar where the length is known, a count where it is not; ``note`` is asked after every item."""
        with self._bar() as bar:
            task = bar.add_task(label, total=_length(items, total), note="")
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
        from rich.markup import escape

        self._console.print(f"[yellow]warning:[/] {escape(line)}", highlight=False, soft_wrap=True)

    def _bar(self) -> RichProgress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        text = (TextColumn("{task.description}"), TextColumn("{task.fields[note]}", markup=False))
        columns = (text[0], BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), text[1])
        return Progress(*columns, console=self._console, transient=True)


class PlainProgress(Progress):
    """Progress for a pipe: plain lines on stderr, warnings at once and, every ``LINE_SECONDS``, how far the work is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_line = clock()

    def track(
        self, items: Iterable[Item], label: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """A line where the last one, of whatever work, is old enough."""
        total = _length(items, total)
        for number, item in enumerate(items, 1):
            yield item
            now = self._clock()
            if now - self._last_line >= LINE_SECONDS:
                count = f"{number} of {total}" if total else str(number)
                print(f"{label}: {', '.join(filter(None, (count, note())))}", file=sys.stderr, flush=True)
                self._last_line = now

    def warn(self, line: str) -> None:
        """A line on stderr."""
        print(f"warning: {line}", file=sys.stderr, flush=True)


def progress_for(console: Console) -> Progress:
    """What suits the console: bars on a terminal, plain lines in a pipe."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress()


def _length(items: Iterable[Item], total: int | None) -> int | None:
    return len(items) if total is None and isinstance(items, Sized) else total
