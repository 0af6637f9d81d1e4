"""Latency: interleaved runs, so that a noisy machine disturbs both models alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecompress.data import Inputs
from edgecompress.runtime import run_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WARM_UP_RUNS = 10
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds for one call with one sample."""

    median_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models timed in turn in one run.

    ``speedup`` is the ratio of the medians, first to second; ``low`` and ``high`` bound it at 95 %
    (percentile bootstrap over the rounds, Efron 1979).
    """

    first: Latency
    second: Latency
    speedup: float
    low: float
    high: float
    runs: int
    threads: int


def compare_latency(
    first: InferenceSession, second: InferenceSession, inputs: Inputs, *, runs: int, threads: int
) -> Comparison:
    """Time both sessions on the same inputs, a round of each in turn.

    Args:
        first: the reference.
        second: what is compared to it.
        inputs: one sample.
        runs: rounds that count, after a warm-up.
        threads: what the sessions were opened with, for the record.
    """
    calls = [lambda: run_session(first, inputs), lambda: run_session(second, inputs)]
    times = interleave(calls, runs)
    low, high = ratio_interval(times[:, 0], times[:, 1])
    return Comparison(
        first=summarize(times[:, 0]),
        second=summarize(times[:, 1]),
        speedup=float(np.median(times[:, 0]) / np.median(times[:, 1])),
        low=low,
        high=high,
        runs=runs,
        threads=threads,
    )


def interleave(calls: Sequence[Callable[[], object]], runs: int) -> NDArray[np.float64]:
    """Milliseconds of each call, shape (runs, calls); every other round goes backwards."""
    for call in calls:
        for _ in range(WARM_UP_RUNS):
            call()
    times = np.zeros((runs, len(calls)))
    for run in range(runs):
        order = range(len(calls)) if run % 2 == 0 else reversed(range(len(calls)))
        for index in order:
            start = time.perf_counter_ns()
            calls[index]()
            times[run, index] = (time.perf_counter_ns() - start) / 1e6
    return times


def summarize(times_ms: NDArray[np.float64]) -> Latency:
    """Median and tail of a sample of milliseconds."""
    median, p95, p99 = np.percentile(times_ms, [50, 95, 99])
    return Latency(median_ms=float(median), p95_ms=float(p95), p99_ms=float(p99))


def ratio_interval(first: NDArray[np.float64], second: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """Bounds, at 95 %, of median(first) / median(second), the rounds resampled as pairs."""
    draws = np.random.default_rng(seed).integers(len(first), size=(RESAMPLES, len(first)))
    ratios = np.median(first[draws], axis=1) / np.median(second[draws], axis=1)
    low, high = np.percentile(ratios, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)
