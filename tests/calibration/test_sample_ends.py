"""Sums of float32 as whole numbers: exact, whatever the order."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration.sample_ends import SampleEnds

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _ends(values: list[float]) -> SampleEnds:
    array = np.array(values, np.float32)
    return SampleEnds.of(array, -array)


@given(st.lists(floats, min_size=1, max_size=30))
def test_means_are_those_of_rational_numbers(values: list[float]) -> None:
    mean = sum(map(Fraction, values)) / len(values)
    assert (_ends(values).mean_low, _ends(values).mean_high) == (float(mean), float(-mean))


@given(st.lists(st.lists(floats, min_size=1, max_size=5), min_size=1, max_size=6), st.permutations(range(6)))
def test_parts_in_any_order_give_the_whole(parts: list[list[float]], order: list[int]) -> None:
    whole = _ends([value for part in parts for value in part])
    shuffled = [parts[index] for index in order if index < len(parts)]
    assert reduce(SampleEnds.merge, map(_ends, shuffled)) == whole
    assert reduce(SampleEnds.merge, map(_ends, parts)) == whole


def test_what_floats_lose_is_kept() -> None:
    tiny = 2.0**-149
    assert _ends([1e38, tiny, -1e38]).low_units == 1


def test_a_million_of_the_greatest_floats_do_not_overflow() -> None:
    greatest = float(np.finfo(np.float32).max)
    ends = reduce(SampleEnds.merge, [_ends([greatest] * 1000)] * 1000)
    assert ends.samples == 1_000_000
    assert ends.mean_low == pytest.approx(greatest, rel=1e-15)
