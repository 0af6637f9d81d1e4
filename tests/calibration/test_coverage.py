"""What the observers decide is covered, whatever was seen; what no observer decides is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgecompress.calibration import SCHEMES, Demand, Extent, Histogram, Scheme, Statistics
from edgecompress.calibration.coverage import require_coverage, require_range
from edgecompress.calibration.sample_ends import SampleEnds
from edgecompress.calibration.schemes import LEAST_ACTIVATION_SCALE
from edgecompress.errors import EdgecompressError, RecipeError
from edgecompress.registry import OBSERVERS, built_in, choose, find


def _statistics(values: np.ndarray) -> Statistics:
    rows = values.reshape(2, -1)
    histogram = Histogram.empty(Extent.of(values)).add(values)
    return Statistics(histogram=histogram, ends=SampleEnds.of(rows.min(1), rows.max(1)))


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("observer", built_in(OBSERVERS))
@settings(max_examples=settings.get_profile(settings.get_current_profile_name()).max_examples // 10)
@given(
    seed=st.integers(0, 2**32 - 1),
    tail=st.sampled_from([0.5, 1.0, 2.0, 30.0]),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e6, 1e30]),
    shift=st.sampled_from([-1e4, -2.0, 0.0, 2.0, 1e4]),
    relu=st.booleans(),
)
@example(seed=0, tail=0.5, scale=1.0, shift=0.0, relu=True)
def test_no_range_of_an_observer_is_refused(
    observer: str, scheme: Scheme, seed: int, tail: float, scale: float, shift: float, relu: bool
) -> None:
    drawn = np.random.default_rng(seed).standard_t(tail, 1000) + shift
    values = (np.maximum(drawn, 0) if relu else drawn) * scale
    statistics = _statistics(np.clip(values, -1e37, 1e37).astype(np.float32))
    decided = find(OBSERVERS, observer)(statistics, Demand(quant_max=scheme.quant_max))
    params = scheme.activation_params(*decided)
    require_range("x", statistics.histogram, decided, choose(OBSERVERS, observer))
    require_coverage("x", statistics.histogram, decided, params, observer, scheme)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@given(st.sampled_from([0.0, 1.0, -3.0, 1e-20, 1e30]), st.sampled_from([0.0, 1e-7, 1e-6]))
def test_nearly_constant_values_are_covered(scheme: Scheme, value: float, spread: float) -> None:
    statistics = _statistics((value * (1 + spread * np.arange(4))).astype(np.float32))
    for observer in built_in(OBSERVERS):
        decided = find(OBSERVERS, observer)(statistics, Demand(quant_max=scheme.quant_max))
        params = scheme.activation_params(*decided)
        require_coverage("x", statistics.histogram, decided, params, observer, scheme)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("share", [0.5, 0.99, 1.001, 1.01, 2.0, 300.0])
@given(seed=st.integers(0, 99), shift=st.sampled_from([-0.5, 0.0, 1000.0]))
def test_ranges_about_the_faintest_are_covered(scheme: Scheme, share: float, seed: int, shift: float) -> None:
    values = np.random.default_rng(seed).uniform(0, 1, 64) + shift
    whole = max(values.max(), 0) - min(values.min(), 0)
    values *= share * LEAST_ACTIVATION_SCALE * scheme.quant_max / whole
    statistics = _statistics(values.astype(np.float32))
    for observer in built_in(OBSERVERS):
        decided = find(OBSERVERS, observer)(statistics, Demand(quant_max=scheme.quant_max))
        require_coverage("x", statistics.histogram, decided, scheme.activation_params(*decided), observer, scheme)


def test_a_range_of_nothing_is_refused_where_something_was_seen() -> None:
    statistics, scheme = _statistics(np.linspace(0, 1e-6, 100, dtype=np.float32)), SCHEMES["qnnpack"]
    with pytest.raises(EdgecompressError, match="clips tensor 'x' to 0 to 0, which costs"):
        require_coverage("x", statistics.histogram, (0.0, 0.0), scheme.activation_params(0, 0), "min_max", scheme)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"scale": np.array(8, np.float32)},
            "the integers of tensor 'x' stand for 0 to 2040, where 0 to 1 was decided",
        ),
        ({"zero_point": np.array(9, np.uint8)}, "the integers of tensor 'x' stand for -0.0352941 to 0.964706, where"),
    ],
)
def test_other_integers_are_refused(change: dict[str, Any], told: str) -> None:
    statistics, scheme = _statistics(np.linspace(0, 1, 100, dtype=np.float32)), SCHEMES["qnnpack"]
    params = replace(scheme.activation_params(0, 1), **change)
    with pytest.raises(EdgecompressError, match=told):
        require_coverage("x", statistics.histogram, (0.0, 1.0), params, "min_max", scheme)


@pytest.mark.parametrize("decided", [(0.0, 1.5), (-0.5, 1.0), (1.0, 0.0), (np.nan, 1.0), (0.0, np.inf)])
def test_a_range_of_what_was_not_seen_is_the_fault_of_whoever_made_the_observer(decided: tuple[float, float]) -> None:
    def mine(*_: object) -> tuple[float, float]:
        return decided

    histogram, ours = _statistics(np.linspace(0, 1, 100, dtype=np.float32)).histogram, choose(OBSERVERS, "mse")
    with pytest.raises(
        EdgecompressError, match=r"observer 'mse' gives tensor 'x' .*, where 0 to 1 were seen; this is a fault"
    ):
        require_range("x", histogram, decided, ours)
    with pytest.raises(RecipeError) as caught:
        require_range("x", histogram, decided, choose(OBSERVERS, mine))
    low, high = decided
    assert str(caught.value) == (
        f"observer 'mine' gives tensor 'x' {low:g} to {high:g}, where 0 to 1 were seen; repair it, or choose another"
    )
