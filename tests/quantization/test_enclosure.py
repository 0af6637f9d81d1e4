"""Pairs enclose every operator and output afterwards; the simulated NPU takes each of them."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecompress.data.batches import Batch
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import ALL_CORES, open_session, run_session, to_bytes
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.places import find_places
from tests.exporters.graphs import graph
from tests.heard import Heard
from tests.quantization.layers import BATCHES, DATA, LAYERS, enclose


def _enclosed(kind: str) -> tuple[ir.Model, ir.Model]:
    body, constants = LAYERS[kind]
    model = graph(body, **constants)
    return model, enclose(model, Quantization(enabled=True), BATCHES, Progress()).model


def _run(model: ir.Model) -> list[NDArray[np.generic]]:
    return list(run_session(open_session(to_bytes(model), ALL_CORES), {"x": DATA[0]}))


@pytest.mark.parametrize("kind", LAYERS)
def test_pairs_are_on_all_sides_and_the_numbers_stay_near(kind: str) -> None:
    model, enclosed = _enclosed(kind)
    for node in enclosed.graph:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        made = [value.producer() for value in node.inputs if value is not None]
        assert {maker.op_type for maker in made if maker is not None} == {"DequantizeLinear"}
        assert {user.op_type for output in node.outputs for user, _ in output.uses()} == {"QuantizeLinear"}
    assert [value.name for value in enclosed.graph.outputs] == ["y"]
    assert Agreement.between(_run(model), _run(enclosed)).sqnr_db > 25


def test_what_is_enclosed_already_is_left_as_it_is() -> None:
    _, enclosed = _enclosed("Add")
    again = enclose(enclosed, Quantization(enabled=True), BATCHES, Progress())
    assert [node.name for node in again.model.graph] == [node.name for node in enclosed.graph]
    assert again.changes[0].startswith("0 values and 0 constants")


def test_the_original_is_not_changed() -> None:
    body, constants = LAYERS["Conv"]
    model = graph(body, **constants)
    before = to_bytes(model)
    enclose(model, Quantization(enabled=True), BATCHES, Progress())
    assert to_bytes(model) == before


@pytest.mark.skipif(find_spec("onnxruntime_qnn") is None, reason="pip install 'edgecompress[qnn]'")
@pytest.mark.parametrize("kind", LAYERS)
def test_the_npu_takes_it_whole(kind: str) -> None:
    _, enclosed = _enclosed(kind)
    batches = [Batch(inputs={"x": DATA[0][:1]})]
    (result,) = compare_places(to_bytes(enclosed), batches[0], batches, find_places(["qnn"]), Heard())
    assert result.failure is None
    assert {node.unit for node in result.nodes} == {"NPU"}
    assert all(node.integer for node in result.nodes)
    assert result.agreement.sqnr_db > 20
