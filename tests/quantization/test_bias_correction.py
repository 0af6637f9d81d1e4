"""Bias correction: the mean of every layer's outputs is the float model's again."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.calibration import FBGEMM, collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.quantization.bias_correction import correct_biases
from edgecompress.quantization.lowering import Lowering, lower
from edgecompress.quantization.placement import place
from edgecompress.recipe.tables import Quantization
from tests.exporters.graphs import Array, draw, graph, run

PADS = "pads=[1,1,1,1]"
DATA = [np.abs(draw(rows, 4, 8, 8, seed=seed)) for seed, rows in enumerate((32, 32, 7))]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
# One large weight for each channel: the others are rounded coarsely, and positive inputs add the errors up.
W = draw(4, 4, 3, 3) * 0.02 + np.eye(4, dtype=np.float32)[:, :, None, None]
V = draw(4, 4, 3, 3, seed=1) * 0.02 + np.eye(4, dtype=np.float32)[:, :, None, None]
CHAIN = f"a = Conv<{PADS}>(x, w, b) r = Relu(a) y = Conv<{PADS}>(r, v)"


def _lowering(model: ir.Model, **recipe: object) -> Lowering:
    placement = place(model.graph)
    calibration = collect(model, placement.pairs, BATCHES, Progress())
    return lower(model, placement, calibration, Quantization.model_validate({"enabled": True, **recipe}), FBGEMM)


def _mean_error(model: ir.Model, lowering: Lowering) -> Array:
    quantized, axes = lowering.write(), (0, 2, 3) if len(run(model, DATA[0]).shape) == 4 else 0
    sums = [run(quantized, x).sum(axis=axes) - run(model, x).sum(axis=axes) for x in DATA]
    return np.asarray(np.abs(np.sum(sums, axis=0)) / sum(run(model, x).size / 4 for x in DATA))


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_the_mean_error_goes_to_a_part_of_a_quantization_step(granularity: str) -> None:
    model = graph(CHAIN, w=W, v=V, b=draw(4, seed=2))
    lowering = _lowering(model, granularity=granularity)
    corrected = correct_biases(lowering, BATCHES, Progress())
    before, after = _mean_error(model, lowering), _mean_error(model, corrected)
    assert after.max() < before.max() / 3
    assert after.max() < float(corrected.params["y"].scale) / 5


def test_a_layer_without_a_bias_gets_one() -> None:
    model = graph(f"y = Conv<{PADS}>(x, w)", w=W)
    corrected = correct_biases(_lowering(model), BATCHES, Progress())
    node = next(iter(corrected.model.graph))
    assert len(node.inputs) == 3
    assert len(next(iter(model.graph)).inputs) == 2


def test_each_layer_is_charged_with_its_own_error_alone() -> None:
    """The second layer is exact, so that all of its error is the first one's, and its bias stays."""
    exact = np.eye(4, dtype=np.float32)[:, :, None, None] * 127.5 / 127
    model = graph(f"a = Conv<{PADS}>(x, w, b) y = Conv(a, e, c)", w=W, b=draw(4, seed=2), e=exact, c=draw(4, seed=3))
    corrected = correct_biases(_lowering(model), BATCHES, Progress())
    moved = {}
    for before, after in zip(model.graph, corrected.model.graph, strict=True):
        biases = [np.asarray(node.inputs[2].const_value.numpy()) for node in (before, after)]  # type: ignore[union-attr]
        moved[str(before.name)] = float(np.abs(biases[1] - biases[0]).max())
    assert moved["y"] < float(corrected.params["y"].scale)


def test_a_model_without_layers_is_left_alone() -> None:
    lowering = _lowering(graph("y = Relu(x)"))
    assert correct_biases(lowering, BATCHES, Progress()) is lowering


def test_a_model_of_an_older_opset_is_corrected_too() -> None:
    model = graph(CHAIN, w=W, v=V, b=draw(4, seed=2))
    model.opset_imports[""] = 17
    lowering = _lowering(model)
    before, after = _mean_error(model, lowering), _mean_error(model, correct_biases(lowering, BATCHES, Progress()))
    assert after.max() < before.max() / 3
