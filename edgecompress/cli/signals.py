"""Signals that end the program: they unwind it, so that what it had begun to write is removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


class EndedBySignalError(BaseException):
    """Raised where the program stands; no ``except Exception`` of a user's own code holds it up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name
        self.exit_status = 128 + number


@contextmanager
def kept_notes() -> Iterator[None]:
    """Raise a Ctrl-C as :class:`EndedBySignalError`, with its notes: typer keeps of it nothing but the exit status."""
    try:
        yield
    except KeyboardInterrupt as error:
        ended = EndedBySignalError(signal.SIGINT)
        for note in getattr(error, "__notes__", ()):
            ended.add_note(note)
        raise ended from None


@contextmanager
def raised_signals() -> Iterator[None]:
    """Raise :class:`EndedBySignalError` at SIGTERM and SIGHUP, unless someone else minds them (as ``nohup`` does)."""
    here = threading.current_thread() is threading.main_thread()
    ours = [number for number in ENDING if here and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature that signal asks for
    # The next one would interrupt the clearing up.
    signal.signal(number, signal.SIG_IGN)
    raise EndedBySignalError(number)
