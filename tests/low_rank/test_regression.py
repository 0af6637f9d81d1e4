"""Regression on readings against least squares."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.low_rank.regression import ReadingRegression, regress


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_first_readings_alone_are_regressed_on(count: int) -> None:
    random = np.random.default_rng(0)
    readings, outputs = (
        random.standard_normal((100, 5)) @ random.standard_normal((5, 5)),
        random.standard_normal((100, 3)),
    )
    fit = regress(readings.T @ readings, outputs.T @ readings)
    expected, *_ = np.linalg.lstsq(readings[:, :count], outputs)
    np.testing.assert_allclose(fit.weights(count), expected.T, atol=1e-8)
    explained = np.square(readings[:, :count] @ expected).sum()
    assert fit.explained()[count - 1] == pytest.approx(explained)


def test_readings_that_repeat_each_other_do_no_harm() -> None:
    reading = np.random.default_rng(0).standard_normal((50, 1))
    twice = np.hstack([reading, reading])
    fit = regress(twice.T @ twice, (3 * reading).T @ twice)
    np.testing.assert_allclose(twice @ fit.weights(2).T, 3 * reading, atol=1e-4)


def test_orthonormal_readings_need_no_factor() -> None:
    projected = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(ReadingRegression(root=None, projected=projected).weights(2), projected[:2].T)
