"""Timing: interleaved, in sessions that are opened anew, and summarized."""

from __future__ import annotations

import numpy as np

from edgecompress.runtime import to_bytes
from edgecompress.timing.latency import compare_times, interleave_sessions, summarize
from tests.exporters.graphs import draw, graph

SMALL = to_bytes(graph("y = Relu(x)"))
LARGE = to_bytes(graph("a = Conv<pads=[15,15,15,15]>(x, w) y = Relu(a)", w=draw(16, 4, 31, 31)))
X = {"x": draw(1, 4, 8, 8)}


def test_models_are_timed_in_turns() -> None:
    times = interleave_sessions([SMALL, LARGE], X, runs=10, threads=1)
    assert times.shape == (10, 2)
    assert np.median(times[:, 1]) > np.median(times[:, 0])


def test_a_comparison_is_of_the_same_rounds() -> None:
    times = interleave_sessions([LARGE, SMALL], X, runs=20, threads=1)
    found = compare_times(times[:, 0], times[:, 1], threads=1)
    assert found.low <= found.speedup <= found.high
    assert found.speedup > 1
    assert found.first.median_ms > found.second.median_ms
    assert (found.runs, found.threads) == (20, 1)


def test_median_and_tail_of_known_times() -> None:
    latency = summarize(np.arange(1.0, 102.0))
    assert (latency.median_ms, latency.p95_ms, latency.p99_ms) == (51.0, 96.0, 100.0)
