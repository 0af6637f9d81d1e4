"""The time that a search has: how it is written, and how a trial ends with it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from edgecompress.errors import RecipeError
from edgecompress.progress import Progress

Item = TypeVar("Item")
SECONDS = {"h": 3600, "m": 60, "s": 1}
WRITTEN = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")


def seconds_of(text: str) -> float:
    """A time as it is written, in seconds.

    Raises:
        RecipeError: it is none, or no time at all.

    >>> seconds_of("2h"), seconds_of("1h30m"), seconds_of("90 min"), seconds_of("45s")
    (7200.0, 5400.0, 5400.0, 45.0)
    """
    found = WRITTEN.fullmatch("".join(text.lower().split())) if isinstance(text, str) else None
    parts = [] if found is None else found.groups(default="0")
    seconds = sum(float(part) * each for part, each in zip(parts, SECONDS.values(), strict=bool(parts)))
    if not seconds:
        raise RecipeError(f"a time budget is {text!r}; give one as 2h, 90m or 1h30m (--budget-time)")
    return seconds


class OutOfTimeError(BaseException):
    """Raised where the work stands; no ``except Exception`` of a user's own code holds it up."""


class TimedProgress(Progress):
    """Progress that ends the work when its time is over, at the next sign of it.

    Args:
        told: is told of the work.
        deadline: in seconds of the clock; None for no end.
        clock: gives seconds.
    """

    def __init__(self, told: Progress, deadline: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._told, self._deadline, self._clock = told, deadline, clock

    def require_time(self) -> None:
        """Go on, or not.

        Raises:
            OutOfTimeError: the time is over.
        """
        if self._deadline is not None and self._clock() >= self._deadline:
            raise OutOfTimeError

    def track(
        self, items: Iterable[Item], label: str, counted: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        """The same items, as long as there is time."""
        for item in self._told.track(items, label, counted, total, note):
            self.require_time()
            yield item

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """The same piece of work, if there is time to begin it."""
        self.require_time()
        with self._told.step(label):
            yield

    def warn(self, line: str) -> None:
        """The same line."""
        self._told.warn(line)
