"""Intervals of few parts are as wide as Student's t says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgecompress.metrics.bootstrap import RESAMPLES, bounds, draws


@given(st.integers(1, 600), st.integers(0, 5))
def test_as_many_parts_are_drawn_as_there_are(count: int, seed: int) -> None:
    drawn = draws(count, seed)
    assert drawn.shape == (RESAMPLES, count)
    assert (drawn.sum(1) == count).all()
    assert (drawn == draws(count, seed)).all()


@pytest.mark.parametrize("count", [5, 10, 30, 500])
def test_the_interval_of_a_mean_is_student_s(count: int) -> None:
    """A bootstrapped mean spreads by the standard deviation with n in the place of n - 1, which is made up for."""
    values = np.random.default_rng(count).normal(size=count)
    low, high = bounds(draws(count) @ values / count, count)
    wanted = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert (low, high) == pytest.approx(wanted, abs=0.12 * (wanted[1] - wanted[0]))
