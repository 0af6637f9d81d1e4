"""Timing: interleaved, in sessions that are opened anew, and summarized."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgecompress.runtime import to_bytes
from edgecompress.timing.latency import (
    WARM_UP_RUNS,
    compare_times,
    interleave,
    interleave_anew,
    interleave_sessions,
    summarize,
)
from edgecompress.timing.ratios import STRETCHES
from tests.exporters.graphs import draw, graph

SMALL = to_bytes(graph("y = Relu(x)"))
LARGE = to_bytes(graph("a = Conv<pads=[15,15,15,15]>(x, w) y = Relu(a)", w=draw(16, 4, 31, 31)))
X = {"x": draw(1, 4, 8, 8)}


def test_calls_take_turns() -> None:
    seen: list[str] = []
    times = interleave([lambda: seen.append("a"), lambda: seen.append("b")], runs=4)
    assert times.shape == (4, 2)
    assert "".join(seen) == "abba" * ((WARM_UP_RUNS + 4) // 2)


def test_milliseconds_are_measured() -> None:
    times = interleave([lambda: time.sleep(0.004)], runs=10)
    assert np.median(times) >= 4


@pytest.mark.parametrize(("runs", "opened"), [(40, STRETCHES), (10, 5)])
def test_each_stretch_has_calls_of_its_own(runs: int, opened: int) -> None:
    seen: list[str] = []

    def opener(name: str) -> object:
        seen.append(name.upper())
        return lambda: seen.append(name)

    times = interleave_anew([lambda: opener("a"), lambda: opener("b")], runs)  # type: ignore[list-item,return-value]
    assert times.shape == (runs, 2)
    assert "".join(name for name in seen if name.isupper()) == ("ABBA" * opened)[: 2 * opened]
    assert seen.count("a") == seen.count("b") == runs + opened * WARM_UP_RUNS


@pytest.mark.parametrize(("asked", "taken"), [(1, 2), (10, 10), (15, 16), (100, 100), (101, 120)])
def test_stretches_are_alike_and_their_rounds_even(asked: int, taken: int) -> None:
    assert len(interleave_anew([lambda: int], asked)) == taken


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
