"""Progress of long work: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from abc import ABC, abstractmethod
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
        self, items: Iterable[Item], label: str, counted: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """The same items, counted as they pass.

        Args:
            items: handed on.
            label: the work, as in "calibrating, pass 1 of 2".
            counted: an item, as in "batch".
            total: of the items, where these do not know it.
            note: gives the text after the count, as in "loss 0.1".
        """
        return iter(items)

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """A piece of work without a count; the label is as in "measuring latency"."""
        yield

    def warn(self, line: str) -> None:
        """Something that the run survives but the user should know."""

    @property
    def warned(self) -> int:
        """How many warnings were shown."""
        return 0


class CallerWarnings(Progress):
    """Progress for callers in Python: each warning is a ``UserWarning`` at their own line."""

    def warn(self, line: str) -> None:
        """A warning of Python's, at the innermost line outside of this package."""
        level, frame = 2, sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
            level, frame = level + 1, frame.f_back
        warnings.warn(line, stacklevel=level)


class ShownProgress(Progress, ABC):
    """What is shown to people: each warning once, and counted."""

    def __init__(self) -> None:
        self._warned = set[str]()

    @property
    def warned(self) -> int:
        """How many warnings were shown."""
        return len(self._warned)

    def warn(self, line: str) -> None:
        """A line on stderr, once."""
        if line not in self._warned:
            self._show(line)
        self._warned.add(line)

    @abstractmethod
    def _show(self, line: str) -> None:
        """A line on stderr."""


class TerminalProgress(ShownProgress):
    """Bars that vanish when they are full, drawn on stderr so that stdout stays clean."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def track(
        self, items: Iterable[Item], label: str, counted: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """A bar where the length is known, a count where it is not; ``note`` is asked after every item."""
        total = _length(items, total)
        with self._bar() as bar:
            task = bar.add_task(label, total=total, place="", note="")
            for number, item in enumerate(items, 1):
                yield item
                bar.update(task, advance=1, place=_place(counted, number, total), note=note())

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """A spinner while the work lasts."""
        with self._console.status(label):
            yield

    def _show(self, line: str) -> None:
        from rich.markup import escape

        self._console.print(f"[yellow]warning:[/] {escape(line)}", highlight=False, soft_wrap=True)

    def _bar(self) -> RichProgress:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        text = [
            TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[place]", "fields[note]")
        ]
        columns = (text[0], BarColumn(bar_width=20), text[1], TimeElapsedColumn(), text[2])
        return Progress(*columns, console=self._console, transient=True)


class PlainProgress(ShownProgress):
    """Progress for a pipe: plain lines on stderr, warnings at once and, every ``LINE_SECONDS``, how far the work is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last_line = clock()
        self._running: list[Callable[[], str]] = []

    def track(
        self, items: Iterable[Item], label: str, counted: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """A line where the last one, of whatever work, is old enough."""
        total, done = _length(items, total), 0

        def text() -> str:
            return f"{label}: {_place(counted, done, total)}" if done else label

        with self._working(text):
            for item in items:
                yield item
                done += 1
                if self._due():
                    self._tell(", ".join(filter(None, (text(), note()))))

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """A line now and then while the work lasts, by a thread of its own, about what runs innermost in it."""
        ended, start = threading.Event(), self._clock()
        thread = threading.Thread(target=self._tell_until, args=(ended,), name=label, daemon=True)
        with self._working(lambda: f"{label}, {self._clock() - start:.0f} s so far"):
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()

    def _show(self, line: str) -> None:
        print(f"warning: {line}", file=sys.stderr, flush=True)

    @contextmanager
    def _working(self, text: Callable[[], str]) -> Iterator[None]:
        self._running.append(text)
        try:
            yield
        finally:
            self._running.remove(text)

    def _tell_until(self, ended: threading.Event) -> None:
        while not ended.wait(min(LINE_SECONDS, threading.TIMEOUT_MAX)):
            if self._due():
                self._tell(self._running[-1]())

    def _due(self) -> bool:
        return self._clock() - self._last_line >= LINE_SECONDS

    def _tell(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        self._last_line = self._clock()


def progress_for(console: Console) -> Progress:
    """What suits the console: bars on a terminal, plain lines in a pipe."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress()


def _length(items: Iterable[Item], total: int | None) -> int | None:
    return len(items) if total is None and isinstance(items, Sized) else total


def _place(counted: str, number: int, total: int | None) -> str:
    """Which item it is.

    >>> _place("batch", 4, 16), _place("batch", 4, None)
    ('batch 4 of 16', 'batch 4')
    """
    return f"{counted} {number}" + (f" of {total}" if total else "")
