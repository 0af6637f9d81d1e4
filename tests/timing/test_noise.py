"""Doubts: what the runs of a busy machine cannot say is said."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.timing.noise import doubts_of
from edgecompress.timing.ratios import Ratio

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


def test_calls_that_are_interrupted() -> None:
    (doubt,) = doubts_of(np.where(np.arange(100) % 10 == 0, 10.0, 2.0), EXACT)
    assert doubt == "interrupted: p95 is 5.0 times the median; other programs disturbed p95 and p99"
