"""The range search agrees with PyTorch's, and with a search through all ranges where that is small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.ao.quantization.observer import HistogramObserver

from edgecompress.calibration.observers import histogram_l2_range, quantization_error
from edgecompress.calibration.statistics import Extent, Histogram

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Please use quant_min and quant_max:UserWarning"),  # torch's own default
]


def _histogram(values: np.ndarray[Any, Any]) -> Histogram:
    return Histogram.empty(Extent.of(values)).add(values)


def _draw(name: str, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    generator = np.random.default_rng(seed)
    draws = {
        "normal": generator.standard_normal(4000),
        "relu": np.maximum(generator.standard_normal(4000), 0),
        "laplace": generator.laplace(size=4000),
        "outlier": np.append(generator.standard_normal(4000), 300.0),
        "uniform": generator.uniform(-3, 5, 4000),
    }
    return draws[name].astype(np.float32)


@pytest.mark.parametrize("name", ["normal", "relu", "laplace", "outlier", "uniform"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_range_is_that_of_pytorch_s_histogram_observer(name: str, seed: int) -> None:
    values = _draw(name, seed)
    observer: Any = HistogramObserver()
    observer(torch.from_numpy(values))
    low, high = observer._non_linear_param_search()
    assert histogram_l2_range(_histogram(values)) == pytest.approx((low.item(), high.item()), rel=1e-5, abs=1e-6)


def test_a_constant_tensor_keeps_its_range() -> None:
    assert histogram_l2_range(_histogram(np.full(9, 2.5, np.float32))) == (2.5, 2.5)


@given(st.integers(0, 2**32 - 1))
def test_the_range_lies_within_the_extent(seed: int) -> None:
    values = np.random.default_rng(seed).standard_t(3, 500).astype(np.float32)
    low, high = histogram_l2_range(_histogram(values))
    slack = 1e-6 * (values.max() - values.min())
    assert values.min() - slack <= low < high <= values.max() + slack


def test_the_error_of_a_full_range_is_that_of_uniform_rounding() -> None:
    # 2048 bins in 256 levels: within a level of width w the values are uniform, and the error is w^2 / 12.
    histogram = Histogram(low=0.0, high=2.0, counts=np.full(2048, 3, np.int64))
    assert quantization_error(histogram, 0, 2047) == pytest.approx(3 * 2048 * (2.0 / 256) ** 2 / 12, rel=1e-9)


def test_an_outlier_is_cut_off() -> None:
    low, high = histogram_l2_range(_histogram(_draw("outlier", 0)))
    assert high < 300
