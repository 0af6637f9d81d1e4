"""Kernels are those that ONNX Runtime runs, by the numbers that they read."""

from __future__ import annotations

import pytest

from edgecompress.diagnosis.kernels import measure_kernels
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from tests.diagnosis.quantized import BATCH, BATCHES, TWO_LAYERS


def test_a_float_model_has_no_integers() -> None:
    found = measure_kernels(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=1)
    assert {each.numbers for each in found} == {"float"}
    assert sum(each.nodes for each in found if "Conv" in each.operator) == 2


def test_an_integer_model_converts_at_its_ends() -> None:
    artifact = quantize_static(TWO_LAYERS, Quantization(scheme="qnnpack"), BATCHES, Progress()).model
    found = {
        (kernel.operator, kernel.numbers): kernel
        for kernel in measure_kernels(to_bytes(artifact), BATCH.sample(1).inputs, 1)
    }
    assert found["QLinearConv", "integer"].nodes == 2
    assert found["QuantizeLinear", "conversion"].nodes == 1
    assert found["DequantizeLinear", "conversion"].nodes == 1


def test_shares_add_up_and_the_largest_is_first() -> None:
    shares = [kernel.share for kernel in measure_kernels(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=1)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
