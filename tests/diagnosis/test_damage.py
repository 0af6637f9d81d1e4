"""The damage of a layer is the distance of its output from what it was in floats."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecompress.data.batches import Batch
from edgecompress.diagnosis.damage import measure_damage
from edgecompress.diagnosis.intermediate_values import PROBE_ROWS
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from tests.diagnosis.quantized import BATCH, BATCHES, TWO_LAYERS
from tests.exporters.graphs import graph, run


def _quantized(model: ir.Model, **options: object) -> ir.Model:
    return quantize_static(model, Quantization.model_validate(options), BATCHES, Progress()).model


def test_every_layer_is_compared_behind_its_activation() -> None:
    found = measure_damage(TWO_LAYERS, _quantized(TWO_LAYERS), BATCH)
    assert [(each.layer, each.kind, each.value) for each in found] == [("a", "Conv", "r"), ("y", "Conv", "y")]
    assert all(20 < each.sqnr_db < 60 for each in found)


def test_the_last_layer_s_damage_is_the_agreement_of_the_outputs() -> None:
    artifact = _quantized(TWO_LAYERS)
    x = BATCH.inputs["x"][:PROBE_ROWS]
    whole = Agreement.between([run(TWO_LAYERS, x)], [run(artifact, x)]).sqnr_db
    assert measure_damage(TWO_LAYERS, artifact, BATCH)[-1].sqnr_db == pytest.approx(whole, abs=0.1)


def test_rounding_alone_is_that_of_a_uniform_grid() -> None:
    artifact = _quantized(TWO_LAYERS)
    first = measure_damage(TWO_LAYERS, artifact, BATCH)[0]
    scale = artifact.graph.initializers["r/scale"].const_value
    values = run(
        graph("a = Conv<pads=[1,1,1,1]>(x, w) y = Relu(a)", w=_constant(TWO_LAYERS, "w")),
        BATCH.inputs["x"][:PROBE_ROWS],
    )
    assert scale is not None
    # Zeros are exact, what is not rounds to within half a step: the noise of each is step^2 / 12 (Bennett, 1948).
    noise = (values > 0).sum() * float(scale.numpy()) ** 2 / 12
    assert first.rounding_db == pytest.approx(10 * np.log10(np.square(values).sum() / noise), abs=1.0)


def test_a_layer_that_stays_float_has_no_rounding_of_its_own() -> None:
    found = measure_damage(TWO_LAYERS, _quantized(TWO_LAYERS, keep_float=["a"]), BATCH)
    assert [each.layer for each in found] == ["a", "y"]
    assert found[0].sqnr_db > found[1].sqnr_db


def test_nothing_with_weights_has_no_damage() -> None:
    model = graph("y = Relu(x)")
    assert measure_damage(model, model, BATCH) == []


def test_few_samples_are_enough() -> None:
    made = Batch(inputs={"x": BATCH.inputs["x"][:1]})
    assert len(measure_damage(TWO_LAYERS, _quantized(TWO_LAYERS), made)) == 2


def _constant(model: ir.Model, name: str) -> NDArray[np.float32]:
    value = model.graph.initializers[name].const_value
    assert value is not None
    array: NDArray[np.float32] = value.numpy()
    return array
