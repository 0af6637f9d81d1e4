"""Integer grids of weights, and which of them could saturate 16 bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgecompress.calibration import FBGEMM_NARROW_WEIGHTS, QNNPACK, QuantParams, Scheme
from edgecompress.quantization.placement import place
from edgecompress.quantization.weights import PAIR_LIMIT, heaviest_pairs, weight_grids
from tests.exporters.graphs import draw, graph

CONV = next(iter(graph("y = Conv(x, w)", w=draw(4, 4, 1, 1)).graph))
DEPTHWISE = next(iter(graph("y = Conv<group=4>(x, w)", w=draw(4, 1, 3, 3)).graph))


CODES = arrays(np.int8, (2, 3, 1, 1), elements=st.integers(-127, 127))
WEIGHTS = arrays(np.float32, (2, 3, 1, 1), elements=st.floats(-4, 4, width=32))


@given(CODES)
def test_a_pair_is_as_heavy_as_the_worst_activations_make_its_products(codes: NDArray[np.int8]) -> None:
    worst = [
        max(
            abs(x * int(a) + y * int(b))
            for a, b in itertools.combinations(channel, 2)
            for x, y in itertools.product((0, 255), repeat=2)
        )
        for channel in codes.reshape(2, -1)
    ]
    np.testing.assert_array_equal(255 * heaviest_pairs(CONV, codes, 0), worst)


def test_a_depthwise_convolution_adds_in_32_bits() -> None:
    assert not heaviest_pairs(DEPTHWISE, np.full((4, 1, 3, 3), 127, np.int8), 0).any()


@given(WEIGHTS, st.booleans(), st.sampled_from([np.rint, np.floor, np.ceil]))
def test_no_rounding_of_narrow_weights_makes_a_pair_that_saturates(
    weight: NDArray[np.float32], per_channel: bool, rounding: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> None:
    grid = _grid(weight, FBGEMM_NARROW_WEIGHTS, per_channel=per_channel)
    spread = grid.scale.reshape(-1, 1, 1, 1) if per_channel else grid.scale
    assert heaviest_pairs(CONV, rounding(weight / spread), 0).max() <= PAIR_LIMIT


def test_without_the_narrow_scheme_a_pair_may_saturate() -> None:
    weight = np.ones((2, 3, 1, 1), np.float32)
    assert heaviest_pairs(CONV, _grid(weight, QNNPACK).quantize(weight), 0).min() > PAIR_LIMIT
    assert np.abs(_grid(weight, FBGEMM_NARROW_WEIGHTS).quantize(weight)).max() == 63


def test_each_channel_has_the_finest_grid_that_its_own_pairs_allow() -> None:
    """Equal weights have half of the integers each; opposite ones, and one among small ones, all but a few."""
    weight = np.array([[1, 1, 1], [1, -1, 0.1], [1, 0.2, 0.2]], np.float32).reshape(3, 3, 1, 1)
    codes = _grid(weight, FBGEMM_NARROW_WEIGHTS).quantize(weight)[:, :, 0, 0]
    np.testing.assert_array_equal(codes, [[63, 63, 63], [115, -115, 11], [105, 21, 21]])


def test_one_large_weight_keeps_almost_all_of_its_eight_bits() -> None:
    """With the largest of the others it comes to 125 + 1, which leaves each room to be rounded up."""
    weight = np.full((4, 4, 1, 1), 1 / 200, np.float32)
    weight[:, 0] = 1.0
    codes = _grid(weight, FBGEMM_NARROW_WEIGHTS).quantize(weight)
    np.testing.assert_array_equal(codes[:, :2, 0, 0], [[125, 1]] * 4)


def _grid(weight: NDArray[np.float32], scheme: Scheme, *, per_channel: bool = True) -> QuantParams:
    model = graph("y = Conv(x, w)", w=weight)
    return weight_grids(model.graph, place(model.graph), scheme, per_channel=per_channel)["y"]
