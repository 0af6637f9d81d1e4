"""An incremental run: the values of a whole run, piece by piece, with what changes ahead of it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.calibration import QNNPACK, collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.exporters.graph import constant
from edgecompress.progress import Progress
from edgecompress.quantization.incremental_run import IncrementalRun
from edgecompress.quantization.lowering import lower
from edgecompress.quantization.placement import place
from edgecompress.quantization.qdq import restore
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import open_session
from tests.exporters.graphs import Array, draw, graph, run

PADS = "pads=[1,1,1,1]"
BODY = (
    f"a = Conv<{PADS}>(x, w) r = Relu(a) c = Conv<{PADS}>(r, v, b) s = Add(c, r) d = Conv<{PADS}>(s, w) y = Add(d, s)"
)
W, V, B = draw(4, 4, 3, 3) * 0.2, draw(4, 4, 3, 3, seed=1) * 0.2, draw(4, seed=2)
RUNS = [{"x": draw(2, 4, 8, 8, seed=seed)} for seed in (3, 4)]
BATCHES = Batches(
    role="calibration", source=lambda: [each["x"] for each in RUNS], inputs=InputNames(names=("x",), required=1)
)


def _model() -> ir.Model:
    return graph(BODY, w=W, v=V, b=B)


def _integers(model: ir.Model) -> ir.Model:
    placement = place(model.graph)
    calibration = collect(model, placement.pairs, BATCHES, Progress())
    return lower(model, placement, calibration, Quantization(enabled=True), QNNPACK).write()


def _whole(model: ir.Model, name: str) -> list[Array]:
    """A value of a model, by running all of it."""
    watched = model.clone()
    value = next(output for node in watched.graph for output in node.outputs if output.name == name)
    value.dtype = value.dtype or ir.DataType.UINT8
    watched.graph.outputs[:] = [value]
    session = open_session(watched, threads=1)
    return [session.run(None, feeds)[0] for feeds in RUNS]


def _values(model: ir.Model) -> dict[str, ir.Value]:
    return {str(value.name): value for node in model.graph for value in node.outputs}


@pytest.mark.parametrize("names", [("a", "r", "s", "d", "y"), ("c", "y"), ("y",), ("s", "s", "d")])
def test_pieces_come_to_what_the_whole_does(names: tuple[str, ...]) -> None:
    model = _model()
    stepwise = IncrementalRun(model, RUNS)
    for name in names:
        for found, expected in zip(stepwise.to(_values(model)[name]), _whole(model, name), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_integers_are_held_and_run_as_integers() -> None:
    model = _integers(_model())
    stepwise = IncrementalRun(model, RUNS)
    for name in ("x/q", "r/q", "s/q"):
        for found, expected in zip(stepwise.to(_values(model)[name]), _whole(model, name), strict=True):
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, expected)
    whole = [run(model, feeds["x"]) for feeds in RUNS]
    for found, expected in zip(stepwise.to(model.graph.outputs[0]), whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_sequence_is_made_anew_for_each_reader() -> None:
    parts = "q = SplitToSequence<axis=1>(a, half) l = SequenceAt(q, first) r = SequenceAt(q, second)"
    body = f"a = Conv<{PADS}>(x, w) {parts} c = Conv<{PADS}>(l, v) d = Conv<{PADS}>(r, v) y = Add(c, d)"
    places = {"first": np.array(0), "second": np.array(1), "half": np.array(2)}
    model = graph(body, w=W, v=V[:, :2].copy(), **places)
    stepwise = IncrementalRun(model, [{**each, "unknown": np.zeros(1, np.float32)} for each in RUNS])
    for name in ("l", "r", "y"):
        for found, expected in zip(stepwise.to(_values(model)[name]), _whole(model, name), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_layer_ahead_may_change() -> None:
    model = _integers(_model())
    stepwise = IncrementalRun(model, RUNS)
    before = stepwise.to(_values(model)["r/q"])
    layer = next(node for node in model.graph if node.name == "c")
    restore(layer, 1, V * np.float32(0.5))
    restore(layer, 2, B * np.float32(0.5))
    np.testing.assert_array_equal(_whole(model, "r/q")[0], before[0])
    np.testing.assert_array_equal(stepwise.to(_values(model)["s/q"])[1], _whole(model, "s/q")[1])


def test_a_restored_constant_keeps_its_scale() -> None:
    model = _integers(_model())
    layer = next(node for node in model.graph if node.name == "c")
    pair = layer.inputs[1].producer()  # type: ignore[union-attr]
    assert pair is not None
    codes, scale = constant(pair.inputs[0]), constant(pair.inputs[1])
    restore(layer, 1, V)
    np.testing.assert_array_equal(constant(pair.inputs[0]), codes)
    restore(layer, 1, V * np.float32(0.5))
    np.testing.assert_array_equal(constant(pair.inputs[1]), scale)
    assert codes is not None
    moved = constant(pair.inputs[0])
    assert moved is not None
    np.testing.assert_allclose(moved, codes / 2, atol=0.76)
