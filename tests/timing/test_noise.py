"""Doubts: what the runs of a busy machine cannot say is said."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.timing.noise import doubts_of
from edgecompress.timing.ratios import Ratio, ratio_of

EXACT = Ratio(value=1.0, low=1.0, high=1.0)
QUIET = np.full(100, 2.0)


def test_a_quiet_machine_is_not_doubted() -> None:
    assert doubts_of(QUIET, EXACT) == ()


def test_no_difference_within_a_wide_interval_says_nothing() -> None:
    (doubt,) = doubts_of(QUIET, Ratio(value=1.0, low=1 / 1.2, high=1.2))
    assert doubt.startswith(
        "too noisy to say: a difference below 20% would not be seen; take more runs (cpu.runs), or stop"
    )
    assert doubts_of(QUIET, Ratio(value=1.5, low=1.2, high=1.9)) == ()  # a wide interval, and a sure verdict


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_machine_that_changes_its_speed(factor: float) -> None:
    (doubt,) = doubts_of(np.repeat([2.0, 2.0 * factor], 50), EXACT)
    assert f"2.00 ms in the first half of the runs, {2 * factor:.2f} ms in the second" in doubt


def test_medians_that_say_something_else_than_the_rounds_are_told() -> None:
    """The machine is five times slower now and then, in most calls of the first file and in fewer of this one."""
    slow_first, slow_own = np.arange(100) % 5 < 3, np.arange(100) % 5 < 2
    first_ms, own_ms = np.where(slow_first, 6.0, 1.2), np.where(slow_own, 5.0, 1.0)
    ratio = ratio_of(first_ms, own_ms)
    assert ratio.value == pytest.approx(1.2)
    told = [line for line in doubts_of(own_ms, ratio, first_ms=first_ms) if line.startswith("the medians")]
    assert told == [
        "the medians make 6.00x, the rounds one by one 1.20x: the machine changed its speed between rounds; trust the"
        " 1.20x"
    ]


def test_a_ratio_that_medians_contradict_is_not_trusted_either_where_its_interval_is_wide() -> None:
    own_ms, first_ms = np.full(100, 1.0), np.full(100, 5.62)
    (told,) = doubts_of(own_ms, Ratio(value=3.67, low=2.17, high=5.57), "--runs 1000", first_ms=first_ms)
    assert told == (
        "the medians make 5.62x, the rounds one by one 3.67x (2.17-5.57): the machine changed its speed between rounds;"
        " neither the milliseconds nor the ratio say much: take more runs (--runs 1000), or stop other programs"
    )
    (told,) = doubts_of(own_ms, Ratio(value=3.67, low=3.6, high=3.7), first_ms=first_ms)
    assert told.endswith("; trust the 3.67x")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_a_machine_whose_noise_is_chance_is_not_said_to_contradict_itself(seed: int, noise: float) -> None:
    first_ms, own_ms = np.array([[2.4], [2.0]]) * np.exp(np.random.default_rng(seed).normal(0, noise, (2, 100)))
    told = doubts_of(own_ms, ratio_of(first_ms, own_ms), first_ms=first_ms)
    assert [line for line in told if line.startswith("the medians")] == []


def test_calls_that_are_interrupted() -> None:
    (doubt,) = doubts_of(np.where(np.arange(100) % 10 == 0, 10.0, 2.0), EXACT)
    assert doubt == "p95 is 5.0 times the median; other programs disturbed p95 and p99"


def test_a_ratio_that_says_little_is_not_to_be_trusted() -> None:
    times_ms = np.repeat([2.0, 4.0], 50)
    for ratio, fix in (
        (EXACT, "trust the ratio, not the milliseconds"),
        (
            Ratio(value=2.0, low=1.1, high=13.5),
            "neither the milliseconds nor the ratio say much: take more runs (--runs), or stop other programs",
        ),
    ):
        (doubt,) = doubts_of(times_ms, ratio, "--runs")
        assert (
            doubt
            == f"the machine changed its speed: 2.00 ms in the first half of the runs, 4.00 ms in the second; {fix}"
        )
