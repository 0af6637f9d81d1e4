"""Interleaved runs, and sessions that are opened anew for each stretch of them.

A device runs the text of this file, too: it imports nothing but numpy, and keeps to what Python 3.8 knows.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Call = Callable[[], object]

STRETCHES = 10
"""Parts of a run that are resampled whole."""
LEAST_CALLS, LEAST_SECONDS = 3, 0.005
WARM_UP_RUNS = 6
"""Even, so that the first round that counts goes forwards, as every other one."""


def interleave_anew(openers: Sequence[Callable[[], Call]], runs: int) -> NDArray[np.float64]:
    """The same as :func:`interleave`, the calls made anew for each stretch, every other time in reverse order.

    As many rounds as give stretches of equal length, with an even number of rounds: ``runs``, or somewhat more.
    """
    parts, count = [], min(STRETCHES, math.ceil(runs / 2))
    rounds = 2 * math.ceil(runs / (2 * count))
    for number in range(count):
        calls: dict[int, Call] = {}
        for index in in_turn(len(openers), number):
            calls[index] = openers[index]()
        parts.append(interleave([calls[index] for index in range(len(openers))], rounds))
    return np.concatenate(parts)


def interleave(calls: Sequence[Call], runs: int) -> NDArray[np.float64]:
    """Milliseconds of each call, shape (runs, calls); every other round goes backwards."""
    times = np.zeros((WARM_UP_RUNS + runs, len(calls)))
    for run in range(len(times)):
        for index in in_turn(len(calls), run):
            start = time.perf_counter_ns()
            calls[index]()
            times[run, index] = (time.perf_counter_ns() - start) / 1e6
    return times[WARM_UP_RUNS:]


def least_ms(call: Call) -> float:
    """Milliseconds of the fastest of several calls, after one that does not count."""
    call()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < LEAST_CALLS or time.perf_counter() - start < LEAST_SECONDS:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return 1e3 * min(times)


def in_turn(count: int, number: int) -> Iterable[int]:
    """The numbers below ``count``, forwards in even rounds and backwards in odd ones."""
    return range(count) if number % 2 == 0 else reversed(range(count))
