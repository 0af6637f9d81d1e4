"""Ranges come from the recipe's observer, which may be anybody's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edgecompress.calibration import QNNPACK, Calibration, Extent, Histogram, Statistics
from edgecompress.calibration.sample_ends import SampleEnds
from edgecompress.errors import RecipeError
from edgecompress.quantization.lowering import activation_params
from edgecompress.recipe.tables import Quantization


def _calibration() -> Calibration:
    samples = np.linspace(-1, 3, 64, dtype=np.float32).reshape(4, 16)
    histogram = Histogram.empty(Extent.of(samples)).add(samples)
    ends = SampleEnds.of(samples.min(axis=1), samples.max(axis=1))
    statistics = Statistics(histogram=histogram, ends=ends)
    return cast("Calibration", SimpleNamespace(histograms={"x": histogram}, statistics=lambda _: statistics))


@pytest.mark.parametrize("given", [None, 3.0, (0.0,), ("low", "high"), (0.0, 1.0, 2.0)])
def test_an_observer_that_gives_no_range_is_told(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecompress.calibration.observers.min_max.find_range", lambda *_: given)
    with pytest.raises(RecipeError) as caught:
        activation_params(_calibration(), Quantization(observer="min_max"), QNNPACK)
    assert str(caught.value) == "observer 'min_max' gives no low and high end; repair it, or choose another"


def test_the_ends_become_scale_and_zero_point() -> None:
    params = activation_params(_calibration(), Quantization(observer="min_max"), QNNPACK)["x"]
    assert float(params.scale) == pytest.approx(4 / 255)
    assert int(params.zero_point) == 64
