"""Ratios of latencies: the interval holds the true ratio as often as it says, whatever the noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from edgecompress.timing.interleaving import STRETCHES
from edgecompress.timing.ratios import Ratio, Verdict, interval_of, ratio_of

RUNS, TRIALS = 100, 200
Noise = Callable[[np.random.Generator], NDArray[np.float64]]


def _autocorrelated(generator: np.random.Generator, share: float, deviation: float) -> NDArray[np.float64]:
    """AR(1): each value keeps a share of the one before; the whole has that standard deviation."""
    steps = generator.normal(0, deviation * np.sqrt(1 - share**2), RUNS)
    steps[0] = generator.normal(0, deviation)
    filtered: NDArray[np.float64] = lfilter([1.0], [1.0, -share], steps)
    return filtered


def _independent(generator: np.random.Generator) -> NDArray[np.float64]:
    return generator.normal(0, 0.05, RUNS)


def _bursts(generator: np.random.Generator) -> NDArray[np.float64]:
    return _autocorrelated(generator, 0.7, 0.05)


def _sessions(generator: np.random.Generator) -> NDArray[np.float64]:
    """Each session is faster or slower for as long as it lives."""
    return generator.normal(0, 0.02, RUNS) + np.repeat(generator.normal(0, 0.02, STRETCHES), RUNS // STRETCHES)


def _interrupted(generator: np.random.Generator) -> NDArray[np.float64]:
    return _independent(generator) + (generator.random(RUNS) < 0.1) * generator.exponential(1.5, RUNS)


def _trial(noise: Noise, seed: int) -> Ratio:
    """Two files that take 2 ms and 1 ms, on a machine whose speed wanders for both, with noise of their own."""
    generator = np.random.default_rng(seed)
    wander = _autocorrelated(generator, 0.95, 0.2)
    return ratio_of(2 * np.exp(wander + noise(generator)), np.exp(wander + noise(generator)), seed=seed)


@pytest.mark.parametrize("noise", [_independent, _bursts, _sessions, _interrupted])
def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says(noise: Noise) -> None:
    found = [_trial(noise, seed) for seed in range(TRIALS)]
    assert 0.90 <= sum(each.low <= 2 <= each.high for each in found) / TRIALS < 1  # 95 % +- 1.5
    alike = [Ratio(value=each.value / 2, low=each.low / 2, high=each.high / 2) for each in found]  # of equal files
    assert sum(each.verdict in ("faster", "slower") for each in alike) / TRIALS <= 0.05


def test_rounds_drawn_one_by_one_would_be_too_sure_of_sessions() -> None:
    # The bootstrap of single rounds, as a check that the noise above is one that stretches are needed for.
    held = 0
    for trial in range(TRIALS):
        generator = np.random.default_rng(trial)
        logs = _sessions(generator) - _sessions(generator)
        medians = np.median(logs[generator.integers(RUNS, size=(500, RUNS))], axis=1)
        low, high = np.percentile(medians, [2.5, 97.5])
        held += low <= 0 <= high
    assert held / TRIALS < 0.85


def test_a_shared_disturbance_cancels() -> None:
    disturbance = np.linspace(1, 5, 101)
    ratio = ratio_of(2 * disturbance, disturbance)
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((2.0, 2.0, 2.0))
    assert ratio.resolution == pytest.approx(0.0)


def test_whoever_finds_its_memory_in_the_cache_gains_nothing() -> None:
    # In turn a b b a a b b a: the first is warm in every forward round but one, the second in every backward one.
    generator = np.random.default_rng(0)
    warm = np.arange(RUNS) % 2 == 0
    first = np.where(warm, 1.0, 1.05) * np.exp(generator.normal(0, 0.002, RUNS))
    second = np.where(warm, 1.05, 1.0) * np.exp(generator.normal(0, 0.002, RUNS))
    first[:: RUNS // STRETCHES] *= 1.05
    ratio = ratio_of(first, second)
    assert ratio.value == pytest.approx(1.0, abs=0.002)
    assert ratio.resolution < 0.005


parts = st.lists(st.lists(st.floats(0.1, 10), min_size=4, max_size=4), min_size=2, max_size=8)


@settings(max_examples=15)
@given(parts, st.integers(0, 9))
def test_the_bootstrap_is_that_of_whole_stretches(stretches: list[list[float]], seed: int) -> None:
    # The same draws, put together stretch by stretch.
    times, count = np.array(stretches), len(stretches)
    found = ratio_of(times.ravel(), np.ones(times.size), count, seed)
    medians = []
    for draw in np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=2000):
        logs = np.log(np.repeat(times, draw, axis=0))
        medians.append((np.median(logs[:, ::2]) + np.median(logs[:, 1::2])) / 2)
    assert found.low <= np.exp(np.quantile(medians, 0.025)) <= np.exp(np.quantile(medians, 0.975)) <= found.high
    assert np.exp(min(medians)) * (1 - 1e-9) <= found.low
    assert found.high <= np.exp(max(medians)) * (1 + 1e-9)


@given(st.lists(st.floats(0.1, 10), min_size=4, max_size=60), st.floats(0.1, 10))
def test_turned_round_it_is_the_inverse(times: list[float], factor: float) -> None:
    first = np.array(times)
    second = factor * first[::-1]
    there, back = ratio_of(first, second), ratio_of(second, first)
    assert there.value * back.value == pytest.approx(1.0)
    assert (there.low * back.high, there.high * back.low) == pytest.approx((1.0, 1.0))
    assert there.low <= there.high


def test_no_more_stretches_than_pairs_of_rounds() -> None:
    ratio = ratio_of(np.full(5, 2.0), np.ones(5))
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((2.0, 2.0, 2.0))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.02, 1.5, "faster"),
        (0.5, 0.98, "slower"),
        (0.98, 1.02, "no difference"),
        (1.002, 1.008, "no difference"),  # sure, and not worth a word
        (0.991, 0.999, "no difference"),
        (0.24, 1.06, "too noisy to say"),
        (0.9, 1.2, "too noisy to say"),
    ],
)
def test_a_verdict_needs_the_whole_interval_beyond_one_percent(low: float, high: float, verdict: Verdict) -> None:
    assert Ratio(value=(low * high) ** 0.5, low=low, high=high).verdict == verdict


@given(st.floats(0.05, 20), st.floats(1, 10), st.floats(1, 10))
def test_the_words_say_what_the_verdict_says(value: float, below: float, above: float) -> None:
    ratio = Ratio(value=value, low=value / below, high=value * above)
    sure = ratio.verdict in ("faster", "slower")
    assert ratio.words.endswith(")")
    assert (f"x {ratio.verdict} (" in ratio.words) is sure
    assert ratio.words.startswith(ratio.verdict) is not sure
    assert (ratio.factor == f"{value:.2f}x") is sure


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_times_without_noise_have_an_interval_without_width(share: float) -> None:
    assert interval_of(np.full(100, 2.5), share) == (2.5, 2.5)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_interval_of_a_share_holds_that_of_the_population(share: float) -> None:
    """Draws of an exponential distribution, whose quantiles are -log(1 - share)."""
    random = np.random.default_rng(0)
    intervals = [interval_of(random.exponential(size=400), share) for _ in range(100)]
    held = sum(low <= -np.log1p(-share) <= high for low, high in intervals)
    assert held >= 88  # 95 expected; a stretch of 40 has few values in the tail


@given(st.floats(0.1, 10))
def test_an_interval_grows_with_its_times(factor: float) -> None:
    times = np.random.default_rng(1).exponential(size=60) + 1
    scaled = interval_of(times * factor, 0.95)
    assert scaled == pytest.approx(tuple(factor * end for end in interval_of(times, 0.95)))
