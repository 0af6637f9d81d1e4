"""Extents and histograms add up exactly, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgecompress.calibration.histogram import Extent, Histogram

Floats = NDArray[np.float32]
values = hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False))


@given(st.lists(values, min_size=1, max_size=5))
def test_parts_merge_to_the_extent_of_the_whole(parts: list[Floats]) -> None:
    merged = Extent.of(parts[0])
    for part in parts[1:]:
        merged = merged.merge(Extent.of(part))
    assert merged == Extent.of(np.concatenate(parts))


@given(st.lists(values, min_size=1, max_size=5), st.permutations(range(5)))
def test_parts_in_any_order_add_up_to_the_histogram_of_the_whole(parts: list[Floats], order: list[int]) -> None:
    whole = np.concatenate(parts)
    empty = Histogram.empty(Extent.of(whole))
    shuffled = [parts[index] for index in order if index < len(parts)]
    first, two = empty, empty
    for part in shuffled[:2]:
        first = first.add(part)
    for part in shuffled[2:]:
        two = two.add(part)
    assert (first.merge(two).counts == empty.add(whole).counts).all()


@given(values)
def test_every_value_is_counted(array: Floats) -> None:
    assert Histogram.empty(Extent.of(array)).add(array).counts.sum() == array.size


@given(values, st.integers(1, 64))
def test_counts_are_numpy_s_up_to_values_on_an_edge(array: Floats, bins: int) -> None:
    extent = Extent.of(array)
    if extent.high - extent.low < 1e-3:
        return
    ours = Histogram.empty(extent, bins).add(array)
    theirs, edges = np.histogram(array.astype(np.float64), bins=bins, range=(extent.low, extent.high))
    near = sum(bool(np.isclose(edges, value, rtol=1e-6, atol=1e-6).any()) for value in array.tolist())
    assert np.abs(ours.counts - theirs).sum() <= 2 * near


def test_a_constant_tensor_has_bins_without_width() -> None:
    constant = np.full(7, 3.0, np.float32)
    histogram = Histogram.empty(Extent.of(constant)).add(constant)
    assert histogram.bin_width == 0
    assert histogram.counts.sum() == 7


def test_histograms_over_different_edges_do_not_merge() -> None:
    first, other = (Histogram.empty(Extent(low=0.0, high=high)) for high in (1.0, 2.0))
    with pytest.raises(ValueError, match="different edges"):
        first.merge(other)
