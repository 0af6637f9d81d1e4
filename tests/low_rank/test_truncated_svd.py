"""Truncation against Eckart and Young, and against the error of outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.low_rank.truncated_svd import InputMoments, balance, metric, rank, split

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))


@given(SHAPES)
def test_the_error_is_the_tail_of_the_singular_values(drawn: tuple[int, int, int]) -> None:
    rows, columns, seed = drawn
    weight = np.random.default_rng(seed).standard_normal((rows, columns))
    values = np.linalg.svd(weight, compute_uv=False)
    ranked = rank(weight, None)
    for kept in range(len(values) + 1):
        left, right = split(ranked.directions[:, :kept], weight)
        tail = float(np.square(values[kept:]).sum())
        assert np.square(weight - left @ right).sum() == pytest.approx(tail, abs=1e-10)
        assert ranked.loss(kept) == pytest.approx(tail / np.square(values).sum(), abs=1e-10)


def test_the_factors_share_the_singular_values() -> None:
    weight = np.random.default_rng(0).standard_normal((6, 8))
    values = np.linalg.svd(weight, compute_uv=False)[:4]
    left, right = split(rank(weight, None).directions[:, :4], weight)
    np.testing.assert_allclose(left.T @ left, np.diag(values), atol=1e-12)
    np.testing.assert_allclose(right @ right.T, np.diag(values), atol=1e-12)


def _moments(inputs: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> InputMoments:
    return InputMoments(mean=inputs.mean(axis=0), second=inputs.T @ inputs / len(inputs))


@given(SHAPES, st.integers(1, 9))
def test_whitened_no_other_matrix_of_the_rank_errs_less_on_the_outputs(
    drawn: tuple[int, int, int], independent: int
) -> None:
    rows, columns, seed = drawn
    random = np.random.default_rng(seed)
    weight = random.standard_normal((rows, columns))
    inputs = random.standard_normal((50, independent)) @ random.standard_normal((independent, columns))
    ranked = rank(weight, metric(_moments(inputs), centred=False))
    for kept in range(1, min(rows, columns) + 1):
        left, right = split(ranked.directions[:, :kept], weight)
        error = np.square(inputs @ (weight - left @ right).T).sum()
        # the least there is, by the singular values of the outputs themselves
        least = np.square(np.linalg.svd(inputs @ weight.T, compute_uv=False)[kept:]).sum()
        assert error <= least + 1e-4 * np.square(inputs @ weight.T).sum()


def test_at_full_rank_nothing_changes_even_where_no_input_varied() -> None:
    weight = np.random.default_rng(0).standard_normal((9, 5))
    one_direction = np.outer(np.arange(20.0), np.ones(5))
    ranked = rank(weight, metric(_moments(one_direction), centred=True))
    left, right = split(ranked.directions[:, :5], weight)
    np.testing.assert_allclose(left @ right, weight, atol=1e-6)


@pytest.mark.parametrize("inputs", [np.zeros((4, 3)), np.full((4, 3), 7.0)])
def test_inputs_that_never_vary_say_nothing(inputs: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    assert metric(_moments(inputs), centred=True) is None


def test_balancing_keeps_the_product_and_leaves_zeros() -> None:
    left, right = np.array([[3.0, 0.0], [4.0, 0.0]]), np.array([[0.0, 20.0], [1.0, 1.0]])
    lighter, heavier = balance(left, right)
    np.testing.assert_allclose(lighter @ heavier, left @ right)
    assert np.linalg.norm(lighter[:, 0]) == pytest.approx(np.linalg.norm(heavier[0])) == pytest.approx(10.0)
    np.testing.assert_array_equal(heavier[1], right[1])
