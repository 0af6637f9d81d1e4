"""Scale and zero point, and what a value becomes under them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgecompress.calibration.schemes import (
    EPSILON,
    FBGEMM,
    LEAST_ACTIVATION_SCALE,
    LEAST_WEIGHT_SCALE,
    QNNPACK,
    SCHEMES,
    QuantParams,
    Scheme,
    weight_params,
)

ends = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
schemes = st.sampled_from(sorted(SCHEMES.values(), key=lambda scheme: scheme.name))


@given(schemes, ends, ends)
def test_zero_is_exact(scheme: Scheme, first: float, other: float) -> None:
    params = scheme.activation_params(min(first, other), max(first, other))
    assert params.dequantize(params.quantize(np.zeros(1, np.float32)))[0] == 0


@given(schemes, ends, ends, st.floats(0, 1))
def test_a_value_in_range_comes_back_within_a_step(scheme: Scheme, first: float, other: float, share: float) -> None:
    low, high = min(first, other, 0.0), max(first, other, 0.0)
    params = scheme.activation_params(low, high)
    value = np.float32(low + share * (high - low))
    back = params.dequantize(params.quantize(np.array([value])))[0]
    # The zero point is rounded as well, which moves the range by up to half a step at its ends.
    assert abs(float(back) - float(value)) <= float(params.scale) * 1.0001


@given(schemes, ends, ends)
def test_codes_of_the_range_stay_within_the_scheme_s_integers(scheme: Scheme, first: float, other: float) -> None:
    low, high = min(first, other, 0.0), max(first, other, 0.0)
    params = scheme.activation_params(low, high)
    codes = params.quantize(np.array([low, high], np.float32))
    assert codes.min() >= 0
    assert codes.max() <= scheme.quant_max + 1  # the end may round up by the zero point's own rounding


def test_the_schemes_differ_in_the_bits_of_activations() -> None:
    assert FBGEMM.activation_params(0.0, 12.7).scale == pytest.approx(0.1)
    assert QNNPACK.activation_params(0.0, 25.5).scale == pytest.approx(0.1)


def test_an_all_zero_tensor_has_a_positive_scale() -> None:
    assert QNNPACK.activation_params(0.0, 0.0).scale == np.float32(EPSILON)
    assert (weight_params(np.zeros((2, 3), np.float32), 0).scale == np.float32(EPSILON)).all()


@given(schemes, ends, ends, st.integers(-60, 60))
def test_a_faint_tensor_has_the_integers_of_a_loud_one(scheme: Scheme, first: float, other: float, power: int) -> None:
    low, high = min(first, other, 0.0), max(first, other, 0.0)
    assume((high - low) * min(1.0, 2.0**power) >= scheme.quant_max * LEAST_ACTIVATION_SCALE)
    loud, faint = scheme.activation_params(low, high), scheme.activation_params(low * 2.0**power, high * 2.0**power)
    assert faint.scale == loud.scale * np.float32(2.0**power)
    assert faint.zero_point == loud.zero_point


@given(st.integers(-30, 30))
def test_faint_weights_have_the_integers_of_loud_ones(power: int) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 9)).astype(np.float32)
    faint = weight * np.float32(2.0**power)
    assert (weight_params(faint, 0).quantize(faint) == weight_params(weight, 0).quantize(weight)).all()


def test_what_is_too_faint_counts_as_zero() -> None:
    assert QNNPACK.activation_params(0.0, 255 * LEAST_ACTIVATION_SCALE / 2).scale == np.float32(EPSILON)
    assert weight_params(np.full((1, 1), 100 * LEAST_WEIGHT_SCALE, np.float32), None).scale == np.float32(EPSILON)
    # The scale of a bias is the product of two: neither it nor its reciprocal may leave float32.
    assert np.finfo(np.float32).tiny < LEAST_ACTIVATION_SCALE * LEAST_WEIGHT_SCALE


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(-100, 100, width=32, allow_subnormal=False)))
def test_a_weight_comes_back_within_half_a_step(weight: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    params = weight_params(weight, axis=0)
    back = params.dequantize(params.quantize(weight))
    # 127.5 levels on each side: the largest weight is clipped by half a step, like any other is rounded.
    assert (np.abs(back - weight) <= params.scale[:, None] * 0.5001).all()


def test_each_channel_has_its_own_scale() -> None:
    weight = np.array([[1.0, -2.0], [100.0, 3.0]], np.float32)
    assert weight_params(weight, axis=0).scale == pytest.approx([2 / 127.5, 100 / 127.5])
    assert weight_params(weight, axis=1).scale == pytest.approx([100 / 127.5, 3 / 127.5])
    assert weight_params(weight, axis=None).scale == pytest.approx(100 / 127.5)


def test_rounding_ties_go_to_even() -> None:
    params = QuantParams(scale=np.array(1.0, np.float32), zero_point=np.array(0, np.int8))
    assert params.quantize(np.array([0.5, 1.5, 2.5, -0.5], np.float32)).tolist() == [0, 2, 2, 0]
