"""Ranges agree with PyTorch's observers where the definitions coincide, and are sound for every tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.ao.quantization.observer import HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver

from edgecompress.calibration.histogram import Extent, Histogram
from edgecompress.calibration.observer import Demand, Observer, Statistics
from edgecompress.calibration.observers.histogram import histogram_l2_range, quantization_error
from edgecompress.calibration.sample_ends import SampleEnds
from edgecompress.calibration.schemes import SCHEMES
from edgecompress.recipe.tables import Quantization
from edgecompress.registry import OBSERVERS, built_in, find

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Please use quant_min and quant_max:UserWarning"),  # torch's own default
]


def _histogram(values: np.ndarray[Any, Any]) -> Histogram:
    return Histogram.empty(Extent.of(values)).add(values)


def _statistics(samples: np.ndarray[Any, Any]) -> Statistics:
    """Of an array of shape (samples, values)."""
    return Statistics(histogram=_histogram(samples), ends=SampleEnds.of(samples.min(axis=1), samples.max(axis=1)))


def _observe(name: str, samples: np.ndarray[Any, Any], **demand: Any) -> tuple[float, float]:
    observe: Observer = find(OBSERVERS, name)
    return observe(_statistics(samples), Demand(**{"quant_max": 255, **demand}))


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
    _, high = histogram_l2_range(_histogram(_draw("outlier", 0)))
    assert high < 300


EXTREMES: dict[str, np.ndarray[Any, Any]] = {
    "zero": np.zeros((2, 8), np.float32),
    "constant": np.full((2, 8), 2.5, np.float32),
    "negative constant": np.full((2, 8), -2.5, np.float32),
    "denormal": np.full((2, 8), 1e-45, np.float32) * np.arange(8, dtype=np.float32),
    "tiny constant": np.full((2, 8), 1e-45, np.float32),
    "huge": np.linspace(-1e38, 3e38, 16, dtype=np.float32).reshape(2, 8),
    "all of float32": np.array([[-3.4e38, 3.4e38], [0, 1]], np.float32),
    "huge outlier": np.append(np.arange(15, dtype=np.float32), np.float32(1e38)).reshape(2, 8),
    "one value": np.array([[7.0]], np.float32),
}


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("name", built_in(OBSERVERS))
def test_every_tensor_has_a_finite_positive_scale(name: str, extreme: str, scheme: str) -> None:
    low, high = _observe(name, EXTREMES[extreme], quant_max=SCHEMES[scheme].quant_max)
    assert low <= high
    params = SCHEMES[scheme].activation_params(low, high)
    assert np.isfinite(params.scale)
    assert params.scale > 0
    assert 0 <= params.zero_point <= SCHEMES[scheme].quant_max


@pytest.mark.parametrize("name", built_in(OBSERVERS))
@settings(max_examples=max(10, settings().max_examples // 5))  # a search takes long
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-30, 1.0, 1e30]), st.sampled_from([-10.0, 0.0, 10.0]))
def test_every_range_lies_within_the_extent(name: str, seed: int, unit: float, centre: float) -> None:
    samples = ((np.random.default_rng(seed).standard_t(3, (4, 100)) + centre) * unit).astype(np.float32)
    low, high = _observe(name, samples)
    slack = 1e-6 * float(samples.max() - samples.min())
    assert samples.min() - slack <= low <= high <= samples.max() + slack


def test_the_recipe_names_the_observers() -> None:
    field = Quantization.model_json_schema()["properties"]["observer"]
    assert field["examples"] == list(built_in(OBSERVERS))


@pytest.mark.parametrize("name", ["normal", "relu", "outlier"])
def test_min_max_is_pytorch_s(name: str) -> None:
    samples = _draw(name, 0)[:4000].reshape(4, -1)
    observer: Any = MinMaxObserver()
    observer(torch.from_numpy(samples))
    assert _observe("min_max", samples) == (observer.min_val.item(), observer.max_val.item())


def test_the_moving_average_of_two_samples_is_pytorch_s_with_even_weights() -> None:
    samples = _draw("normal", 0).reshape(2, -1)
    observer: Any = MovingAverageMinMaxObserver(averaging_constant=0.5)
    for sample in torch.from_numpy(samples):
        observer(sample)
    expected = (observer.min_val.item(), observer.max_val.item())
    assert _observe("moving_average", samples) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([51.0, 90.0, 99.0, 99.9, 100.0]))
def test_a_percentile_is_numpy_s_up_to_a_bin(seed: int, percentile: float) -> None:
    values = np.random.default_rng(seed).standard_t(3, 3000).astype(np.float32)
    low, high = _observe("percentile", values.reshape(3, -1), percentile=percentile)
    width = _histogram(values).bin_width * (1 + 1e-6)
    # Between two values every quantile is right: numpy's lower and higher one bound ours, give or take a bin.
    for ours, share in ((low, 1 - percentile / 100), (high, percentile / 100)):
        assert np.quantile(values, share, method="lower") - width <= ours
        assert ours <= np.quantile(values, min(1.0, share + 1 / 3000), method="higher") + width


def test_all_the_percent_are_the_extent() -> None:
    values = _draw("laplace", 0)
    ends = _observe("percentile", values.reshape(4, -1), percentile=100)
    assert ends == pytest.approx((values.min(), values.max()), rel=1e-6)


def test_mse_errs_less_than_every_other_observer() -> None:
    values = _draw("laplace", 1).reshape(4, -1)
    errors = {}
    for name in built_in(OBSERVERS):
        params = SCHEMES["fbgemm"].activation_params(*_observe(name, values, quant_max=127))
        codes = np.clip(np.rint(values / params.scale) + params.zero_point, 0, 127)
        errors[name] = float(np.square((codes - params.zero_point) * params.scale - values).mean())
    assert errors["mse"] <= min(errors.values()) * 1.01  # a histogram knows the values up to a bin
