"""Latency: interleaved runs, so that a noisy machine disturbs both models alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Inputs
from edgecompress.metrics.bootstrap import Interval
from edgecompress.runtime import open_session, run_session
from edgecompress.timing.interleaving import interleave_anew
from edgecompress.timing.ratios import Ratio, interval_of, ratio_of

if TYPE_CHECKING:
    from edgecompress.timing.interleaving import Call


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds for one call with one sample."""

    median_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def entry(self) -> dict[str, float]:
        """The same as manifests have it.

        >>> Latency(median_ms=1.0, p95_ms=1.5, p99_ms=2.0).entry
        {'median': 1.0, 'p95': 1.5, 'p99': 2.0}
        """
        return {"median": self.median_ms, "p95": self.p95_ms, "p99": self.p99_ms}


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


def summarize(times_ms: NDArray[np.float64]) -> Latency:
    """Median and tail of a sample of milliseconds."""
    median, p95, p99 = np.percentile(times_ms, [50, 95, 99])
    return Latency(median_ms=float(median), p95_ms=float(p95), p99_ms=float(p99))


def latency_intervals(times_ms: NDArray[np.float64]) -> dict[str, Interval]:
    """Between which milliseconds each measure of latency lies at 95 %, by the name that budgets have for it."""
    shares = {"latency_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}
    return {measure: interval_of(times_ms, share) for measure, share in shares.items()}
