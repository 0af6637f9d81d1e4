"""Costs of clip ranges agree with plain loops over values, and the search with a look at every range."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration.clip_search import Cost, cheapest_range, divergence, squared_error
from edgecompress.calibration.histogram import Extent, Histogram
from edgecompress.calibration.schemes import Scheme

BINS = 24
EXTENTS = [(0.0, 6.0), (-2.0, 5.0), (-3.0, 0.0), (0.5, 2.0)]
counts = st.lists(st.integers(0, 40), min_size=BINS, max_size=BINS).filter(lambda c: c[0] > 0 and c[-1] > 0)
extents = st.sampled_from(EXTENTS)


def _histogram(extent: tuple[float, float], counted: list[int]) -> Histogram:
    return Histogram(low=extent[0], high=extent[1], counts=np.array(counted, np.int64))


def _range(histogram: Histogram, first: int, last: int) -> tuple[float, float]:
    return histogram.low + histogram.bin_width * first, histogram.low + histogram.bin_width * (last + 1)


def _cost(cost: Cost, histogram: Histogram, first: int, last: int, quant_max: int) -> float:
    return float(cost(histogram, np.array([first]), np.array([last]), quant_max)[0])


def _codes(values: np.ndarray[Any, Any], low: float, high: float, quant_max: int) -> tuple[Any, float]:
    """Codes relative to the zero point, and the scale as it is before it is stored as float32."""
    zero_point = int(Scheme(name="any", quant_max=quant_max).activation_params(low, high).zero_point)
    scale = (max(high, 0.0) - min(low, 0.0)) / quant_max
    return np.clip(np.rint(values / scale), -zero_point, quant_max - zero_point), scale


@given(extents, counts, st.integers(0, BINS - 1), st.integers(0, BINS - 1), st.sampled_from([3, 7, 15]))
def test_the_squared_error_is_that_of_storing_the_values(
    extent: tuple[float, float], counted: list[int], this: int, other: int, quant_max: int
) -> None:
    histogram, (first, last) = _histogram(extent, counted), sorted((this, other))
    points = 2000  # in each bin, at the middles of as many parts: the rest is of order 1 / points^2
    values = histogram.low + histogram.bin_width * (np.arange(BINS * points) + 0.5) / points
    codes, scale = _codes(values, *_range(histogram, first, last), quant_max)
    errors = np.square(values - codes * scale).reshape(BINS, points).mean(axis=1)
    assert _cost(squared_error, histogram, first, last, quant_max) == pytest.approx(errors @ counted, rel=1e-4)


def _plain_divergence(histogram: Histogram, first: int, last: int, quant_max: int) -> float:
    """Level by level, as one would tell it."""
    counted = histogram.counts.tolist()
    kept = {index: counted[index] for index in range(first, last + 1)}
    reference = dict(kept)
    reference[first] += sum(counted[:first])
    reference[last] += sum(counted[last + 1 :])
    centres = histogram.low + histogram.bin_width * (np.arange(BINS) + 0.5)
    codes, _ = _codes(centres, *_range(histogram, first, last), quant_max)
    total, inside, nats = sum(counted), sum(kept.values()), 0.0
    for index, amount in reference.items():
        if amount:
            seats = [other for other in reference if reference[other] and codes[other] == codes[index]]
            stored = sum(kept[other] for other in seats) / len(seats) / inside if inside else 0
            nats += amount / total * math.log(amount / total / stored) if stored else math.inf
    return nats


@given(extents, counts, st.integers(0, BINS - 1), st.integers(0, BINS - 1), st.sampled_from([3, 7, 15]))
def test_the_divergence_is_that_of_a_plain_loop(
    extent: tuple[float, float], counted: list[int], this: int, other: int, quant_max: int
) -> None:
    histogram, (first, last) = _histogram(extent, counted), sorted((this, other))
    found = _cost(divergence, histogram, first, last, quant_max)
    if last - first + 1 <= quant_max and (first, last) != (0, BINS - 1):
        assert found == math.inf
    else:
        assert found == pytest.approx(_plain_divergence(histogram, first, last, quant_max), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("cost", [squared_error, divergence])
@given(counted=counts, extent=extents, quant_max=st.sampled_from([3, 7]))
def test_of_all_ranges_none_is_much_better(
    cost: Cost, counted: list[int], extent: tuple[float, float], quant_max: int
) -> None:
    histogram = _histogram(extent, counted)
    low, high = cheapest_range(histogram, quant_max, cost)
    first, last = (round((end - histogram.low) / histogram.bin_width) for end in (low, high))
    found = _cost(cost, histogram, first, last - 1, quant_max)
    one_sided = extent[0] >= 0 or extent[1] <= 0
    pairs = itertools.combinations_with_replacement(range(BINS), 2)
    if one_sided:  # only one end matters: every range is looked at
        keep = 0 if extent[0] >= 0 else BINS - 1
        pairs = ((min(keep, end), max(keep, end)) for end in range(BINS))  # type: ignore[assignment]
    best = min(_cost(cost, histogram, *pair, quant_max) for pair in pairs)
    if one_sided:
        assert found == pytest.approx(best, rel=1e-12, abs=1e-15)
    else:  # each end in turn: no single move of an end improves it
        moves = [(end, last - 1) for end in range(last)] + [(first, end) for end in range(first, BINS)]
        inside = [(a, b) for a, b in moves if a * histogram.bin_width <= -extent[0] < (b + 1) * histogram.bin_width]
        assert all(_cost(cost, histogram, *pair, quant_max) >= found * (1 - 1e-12) for pair in inside)


@pytest.mark.parametrize("quant_max", [127, 255])
def test_an_outlier_is_cut_off_as_far_as_it_pays(quant_max: int) -> None:
    # n values rounded to steps of h / q cost n (h / q)^2 / 12, and one clipped at h costs (30 - h)^2; zeros are exact.
    values = np.append(np.maximum(np.random.default_rng(0).standard_normal(100_000), 0), 30.0).astype(np.float32)
    histogram = Histogram.empty(Extent.of(values)).add(values)
    low, high = cheapest_range(histogram, quant_max, squared_error)
    assert low == 0
    assert high == pytest.approx(30 / (1 + np.count_nonzero(values) / (12 * quant_max**2)), rel=0.02)


@pytest.mark.parametrize("quant_max", [127, 255])
def test_entropy_cuts_a_long_tail_off(quant_max: int) -> None:
    values = np.abs(np.random.default_rng(0).standard_t(2, 100_000)).astype(np.float32)
    histogram = Histogram.empty(Extent.of(values)).add(values)
    assert np.quantile(values, 0.99) < cheapest_range(histogram, quant_max, divergence)[1] < 0.8 * values.max()


@pytest.mark.parametrize("cost", [squared_error, divergence])
@pytest.mark.parametrize("quant_max", [127, 255])
def test_a_uniform_tensor_is_not_cut(cost: Cost, quant_max: int) -> None:
    uniform = Histogram(low=-1.0, high=1.0, counts=np.full(2048, 9, np.int64))
    assert cheapest_range(uniform, quant_max, cost) == pytest.approx((-1, 1), abs=0.02)


def test_fewer_levels_clip_more() -> None:
    # The optimal clip of a normal distribution grows with the number of levels (Banner et al. 2019, section 3).
    values = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    histogram = Histogram.empty(Extent.of(values)).add(values)
    highs = [cheapest_range(histogram, quant_max, squared_error)[1] for quant_max in (15, 127, 255)]
    assert highs == sorted(highs)
    # 4 bits: 2.55 standard deviations for levels without a zero point.
    assert highs[0] == pytest.approx(2.55, abs=0.25)
