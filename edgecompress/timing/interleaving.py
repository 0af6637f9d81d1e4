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
"""Even, so that of two calls the first comes first in the first round that counts, as in every other one."""


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
    """Milliseconds of each call, shape (runs, calls), the rounds in the orders of :func:`in_turn`."""
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
    """The numbers below ``count`` in the order of a round: in ``2 * count`` rounds each follows every other one equally
    often (Williams 1949, "Experimental designs balanced for the estimation of residual effects of treatments").

    Who runs after itself finds its memory in the cache, and who runs after another one finds what that has left there.
    Two take turns forwards and backwards.

    >>> [list(in_turn(3, number)) for number in range(6)]
    [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [1, 0, 2], [0, 2, 1]]
    """
    forwards = count == 2 or number // count % 2 == 0
    shifts = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    order = [((number if forwards else -number) + shift) % count for shift in shifts]
    return order if forwards else reversed(order)
