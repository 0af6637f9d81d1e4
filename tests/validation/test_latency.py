"""Timing: interleaved, summarized, and the ratio bounded."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgecompress.validation.latency import WARM_UP_RUNS, interleave, ratio_interval, summarize


def test_calls_take_turns() -> None:
    seen: list[str] = []
    times = interleave([lambda: seen.append("a"), lambda: seen.append("b")], runs=4)
    assert times.shape == (4, 2)
    assert "".join(seen[2 * WARM_UP_RUNS :]) == "abbaabba"


def test_milliseconds_are_measured() -> None:
    times = interleave([lambda: time.sleep(0.004)], runs=10)
    assert np.median(times) >= 4


def test_median_and_tail_of_known_times() -> None:
    latency = summarize(np.arange(1.0, 102.0))
    assert (latency.median_ms, latency.p95_ms, latency.p99_ms) == (51.0, 96.0, 100.0)


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for trial in range(100):
        second = generator.normal(10, 1, 60)
        first = generator.normal(20, 1, 60)
        low, high = ratio_interval(first, second, seed=trial)
        held += low <= 2.0 <= high
    assert held >= 88  # 95 of 100 in the mean; 88 is three standard deviations below


def test_a_shared_disturbance_cancels() -> None:
    disturbance = np.linspace(1, 5, 101)
    low, high = ratio_interval(2 * disturbance, disturbance)
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)
