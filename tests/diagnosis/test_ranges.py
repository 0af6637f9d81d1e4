"""Ranges are what the artifact's integers hold, and counts are of the float model's values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgecompress.data.batches import Batch
from edgecompress.diagnosis.intermediate_values import PROBE_ROWS
from edgecompress.diagnosis.ranges import measure_ranges
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from tests.diagnosis.quantized import BATCH, BATCHES, TWO_LAYERS
from tests.exporters.graphs import draw, graph, run
from tests.quantization.layers import enclose


@pytest.mark.parametrize(("scheme", "codes"), [("qnnpack", 256), ("fbgemm", 128)])
def test_min_max_leaves_nothing_outside(scheme: str, codes: int) -> None:
    recipe = Quantization(scheme=scheme, observer="min_max")  # type: ignore[arg-type]
    result = quantize_static(TWO_LAYERS, recipe, BATCHES, Progress())
    assert result.metrics["activation_codes"] == codes
    found = {each.value: each for each in measure_ranges(TWO_LAYERS, result.model, ["r", "y"], codes, BATCH)}
    values = run(TWO_LAYERS, BATCH.inputs["x"])[:PROBE_ROWS]
    assert found["y"].least == pytest.approx(float(values.min()))
    assert found["y"].greatest == pytest.approx(float(values.max()))
    assert sum(found["y"].counts) == values.size
    assert {each.outside for each in found.values()} == {0.0}
    assert found["r"].low == 0
    assert found["y"].high - found["y"].low == pytest.approx((codes - 1) * found["y"].step)


@pytest.mark.parametrize("patterns", [(), ("*",)])
def test_uint16_has_more_codes_for_the_same_range(patterns: tuple[str, ...]) -> None:
    recipe = Quantization(enabled=True, enclose=True, observer="min_max", uint16_activations=patterns)
    artifact = enclose(
        quantize_static(TWO_LAYERS, recipe, BATCHES, Progress()).model, recipe, BATCHES, Progress()
    ).model
    (made,) = measure_ranges(TWO_LAYERS, artifact, ["r"], 256, BATCH)
    assert (made.low, made.outside) == (0, 0)
    assert made.high / made.step == pytest.approx(65535 if patterns else 255)
    assert made.high >= made.greatest


def test_what_a_narrow_range_cuts_off_is_counted() -> None:
    recipe = Quantization(scheme="qnnpack", observer="percentile", percentile=90.0)
    artifact = quantize_static(TWO_LAYERS, recipe, BATCHES, Progress()).model
    (made,) = measure_ranges(TWO_LAYERS, artifact, ["y"], 256, BATCH)
    values, half = run(TWO_LAYERS, BATCH.inputs["x"])[:PROBE_ROWS], made.step / 2
    beyond = (values < made.low - half) | (values > made.high + half)
    assert made.outside == pytest.approx(float(np.mean(beyond)), abs=1e-4)
    assert made.outside > 0.1


def test_values_without_a_pair_are_left_out() -> None:
    assert measure_ranges(TWO_LAYERS, TWO_LAYERS, ["r"], 256, BATCH) == []


@pytest.mark.parametrize("values", [(1.0, 1.0000003), (1000.0, 1000.001), (1e8, 1e8), (0.0, 0.0)])
def test_values_that_hardly_differ_are_counted(values: tuple[float, float]) -> None:
    x = np.full((2, 4, 8, 8), values[0], np.float32)
    x[1] = values[1]
    batch, model = Batch(inputs={"x": x}), graph("a = Relu(x) y = Conv<pads=[1,1,1,1]>(a, w)", w=draw(4, 4, 3, 3))
    batches = replace(BATCHES, source=lambda: [x])
    artifact = quantize_static(model, Quantization(scheme="qnnpack"), batches, Progress()).model
    for each in measure_ranges(model, artifact, ["a", "y"], 256, batch):
        assert sum(each.counts) > 0
