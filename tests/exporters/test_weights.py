"""Integer grids of weights, and which of them could saturate 16 bits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgecompress.calibration import FBGEMM_NARROW_WEIGHTS, QNNPACK
from edgecompress.exporters.placement import place
from edgecompress.exporters.weights import can_saturate, weight_grids
from tests.exporters.graphs import draw, graph

CONV = next(iter(graph("y = Conv(x, w)", w=draw(4, 4, 1, 1)).graph))
DEPTHWISE = next(iter(graph("y = Conv<group=4>(x, w)", w=draw(4, 1, 3, 3)).graph))


@given(arrays(np.int8, (2, 3, 1, 1), elements=st.integers(-127, 127)))
def test_saturation_is_what_the_worst_pair_of_products_can_do(
    codes: NDArray[np.int8],
) -> None:
    worst = max(
        255 * (abs(int(a)) + abs(int(b)))
        for channel in codes.reshape(2, -1)
        for a, b in itertools.combinations(channel, 2)
    )
    assert can_saturate(CONV, codes, 0) == (worst > 32767)


def test_a_depthwise_convolution_adds_in_32_bits() -> None:
    assert not can_saturate(DEPTHWISE, np.full((4, 1, 3, 3), 127, np.int8), 0)


@pytest.mark.parametrize("granularity", [True, False])
def test_narrow_weights_have_seven_bits_and_no_pair_that_saturates(granularity: bool) -> None:
    weight = draw(4, 4, 3, 3)
    model = graph("y = Conv(x, w)", w=weight)
    placement = place(model.graph)
    wide = weight_grids(model.graph, placement, QNNPACK, per_channel=granularity)["y"]
    narrow = weight_grids(model.graph, placement, FBGEMM_NARROW_WEIGHTS, per_channel=granularity)["y"]
    assert can_saturate(CONV, wide.quantize(weight), 0)
    assert not can_saturate(CONV, narrow.quantize(weight), 0)
    assert np.abs(narrow.quantize(weight)).max() == 64


def test_weights_that_cannot_saturate_keep_their_eight_bits() -> None:
    """One large weight in each channel: with the largest of the others it comes to 127 + 1."""
    weight = np.full((4, 4, 1, 1), 1 / 200, np.float32)
    weight[:, 0] = 1.0
    model = graph("y = Conv(x, w)", w=weight)
    grids = weight_grids(model.graph, place(model.graph), FBGEMM_NARROW_WEIGHTS, per_channel=True)
    np.testing.assert_array_equal(grids["y"].quantize(weight)[:, :2, 0, 0], [[127, 1]] * 4)
