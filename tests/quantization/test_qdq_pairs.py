"""What a quantized graph says of its pairs is what was written."""

from __future__ import annotations

import numpy as np

from edgecompress.progress import Progress
from edgecompress.quantization.qdq_pairs import read_params
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from tests.diagnosis.quantized import BATCHES, TWO_LAYERS


def test_scale_and_zero_point_are_read_back() -> None:
    result = quantize_static(TWO_LAYERS, Quantization(scheme="qnnpack", observer="min_max"), BATCHES, Progress())
    params = read_params(result.model.graph, "x")
    assert params is not None
    x = next(iter(BATCHES)).inputs["x"]
    low, high = float(x.min()), float(x.max())
    np.testing.assert_allclose(params.scale, (high - low) / 255, rtol=1e-5)
    assert abs(int(params.zero_point) - round(-low / float(params.scale))) <= 1


def test_a_value_without_a_pair_has_none() -> None:
    assert read_params(TWO_LAYERS.graph, "r") is None
