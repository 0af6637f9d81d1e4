"""Figures as people read them: what is printed is the figure, to the digits that are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress import units

SIZES = {"kB": 1e3, "MB": 1e6, "k": 1e3, "M": 1e6, "G": 1e9, "": 1.0}


def _read(text: str) -> float:
    """The number that a text says, its unit counted in."""
    number = text.rstrip("kMGB ")
    return float(number) * SIZES[text.removeprefix(number).strip()]


@given(st.integers(0, 10**13))
def test_sizes_and_counts_are_read_back(number: int) -> None:
    assert _read(units.kilobytes(number)) == pytest.approx(number, abs=max(50, 0.005e6 * (number >= 1e6)) + 1e-6)
    assert _read(units.count(number)) == pytest.approx(number, abs=0.05 * max(1, _step(number)) + 1e-6)


def _step(number: int) -> float:
    """The unit in which a count is printed with one digit behind the point; 0 where it is printed whole."""
    return next((size for size in (1e9, 1e6, 1e3) if number >= size), 0)


@given(st.floats(1e-3, 1e6))
def test_milliseconds_have_three_digits(value_ms: float) -> None:
    assert float(units.milliseconds(value_ms).removesuffix(" ms")) == pytest.approx(value_ms, rel=0.005)


@given(st.floats(1e-3, 1e3))
def test_a_factor_is_the_same_both_ways(ratio: float) -> None:
    assert float(units.times(ratio).removesuffix("x")) == pytest.approx(max(ratio, 1 / ratio), abs=0.006)
    assert units.times(ratio) == units.times(1 / (1 / ratio))


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_change_is_what_is_added(before: float, after: float) -> None:
    points = units.metric_change(before, after, "%")
    assert points.endswith(" points")
    assert float(points.split()[0]) == pytest.approx(after - before, abs=0.006)
    value, unit = units.metric_change(before, after, "m").split()
    assert unit == "m"
    assert float(value) == pytest.approx(after - before, rel=0.001, abs=1e-9)


@pytest.mark.parametrize(("value_db", "told"), [(199.9, "199.9 dB"), (200.0, "identical"), (-2.84, "-2.8 dB")])
def test_agreement_ends_where_outputs_are_identical(value_db: float, told: str) -> None:
    assert units.decibels(value_db) == told
