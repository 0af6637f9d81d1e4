"""Latency: interleaved runs, so that a noisy machine disturbs both models alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Inputs
from edgecompress.metrics.bootstrap import Interval
from edgecompress.runtime import open_session, run_session
from edgecompress.timing.ratios import STRETCHES, Ratio, interval_of, ratio_of

WARM_UP_RUNS = 6
"""Even, so that the first round that counts goes forwards, as every other one."""
Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds for one call with one sample."""

    median_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, kw_only=True)
class LatencyComparison:
    """Two models timed in turn in one run.

    ``speedup`` is the median of the rounds' ratios, first to second; ``low`` and ``high`` bound it at 95 %
    (:func:`~edgecompress.timing.ratios.ratio_of`).
    """

    first: Latency
    second: Latency
    speedup: float
    low: float
    high: float
    runs: int
    threads: int

    @property
    def ratio(self) -> Ratio:
        """The speedup with its interval."""
        return Ratio(value=self.speedup, low=self.low, high=self.high)


def compare_times(first_ms: NDArray[np.float64], second_ms: NDArray[np.float64], threads: int) -> LatencyComparison:
    """What the rounds of one run say of two models; both of shape (runs,)."""
    ratio = ratio_of(first_ms, second_ms)
    return LatencyComparison(
        first=summarize(first_ms),
        second=summarize(second_ms),
        speedup=ratio.value,
        low=ratio.low,
        high=ratio.high,
        runs=len(first_ms),
        threads=threads,
    )


def interleave_sessions(
    models: Sequence[bytes | Path], inputs: Inputs, *, runs: int, threads: int
) -> NDArray[np.float64]:
    """Milliseconds of each model, shape (rounds, models), interleaved; each session runs a single stretch.

    Two sessions of one file differ by a percent or two for as long as they live, as their memory happened to come to
    lie; a difference between models has to show beyond that.
    """

    def opened(model: bytes | Path) -> Call:
        session = open_session(model, threads, arithmetic="native")
        return lambda: run_session(session, inputs)

    return interleave_anew([partial(opened, model) for model in models], runs)


def interleave_anew(openers: Sequence[Callable[[], Call]], runs: int) -> NDArray[np.float64]:
    """The same as :func:`interleave`, the calls made anew for each stretch, every other time in reverse order.

    As many rounds as give stretches of equal length, with an even number of rounds: ``runs``, or somewhat more.
    """
    parts, count = [], min(STRETCHES, math.ceil(runs / 2))
    rounds = 2 * math.ceil(runs / (2 * count))
    for number in range(count):
        calls: dict[int, Call] = {}
        for index in _in_turn(len(openers), number):
            calls[index] = openers[index]()
        parts.append(interleave([calls[index] for index in range(len(openers))], rounds))
    return np.concatenate(parts)


def interleave(calls: Sequence[Call], runs: int) -> NDArray[np.float64]:
    """Milliseconds of each call, shape (runs, calls); every other round goes backwards."""
    times = np.zeros((WARM_UP_RUNS + runs, len(calls)))
    for run in range(len(times)):
        for index in _in_turn(len(calls), run):
            start = time.perf_counter_ns()
            calls[index]()
            times[run, index] = (time.perf_counter_ns() - start) / 1e6
    return times[WARM_UP_RUNS:]


def _in_turn(count: int, number: int) -> Iterable[int]:
    return range(count) if number % 2 == 0 else reversed(range(count))


def summarize(times_ms: NDArray[np.float64]) -> Latency:
    """Median and tail of a sample of milliseconds."""
    median, p95, p99 = np.percentile(times_ms, [50, 95, 99])
    return Latency(median_ms=float(median), p95_ms=float(p95), p99_ms=float(p99))


def latency_intervals(times_ms: NDArray[np.float64]) -> dict[str, Interval]:
    """Between which milliseconds each measure of latency lies at 95 %, by the name that budgets have for it."""
    shares = {"latency_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}
    return {measure: interval_of(times_ms, share) for measure, share in shares.items()}
