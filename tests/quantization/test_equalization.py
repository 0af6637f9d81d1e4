"""Equalization leaves the function alone and balances the weights."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration.schemes import weight_params
from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.equalization import channel_peaks, equalize, pairs
from edgecompress.quantization.weights import constant_weight
from tests.exporters.graphs import Array, draw, graph, run

PADS = "pads=[1,1,1,1]"
DATA = [draw(8, 4, 8, 8, seed=seed) for seed in range(3)]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
UNEVEN = np.array([1.0, 0.01, 30.0, 0.2], np.float32).reshape(4, 1, 1, 1)
LOW, HIGH = np.array(0, np.float32), np.array(6, np.float32)
BODIES = {
    "relu": f"a = Conv<{PADS}>(x, w, b) r = Relu(a) y = Conv<{PADS}>(r, v)",
    "relu6": f"a = Conv<{PADS}>(x, w, b) r = Clip(a, low, high) y = Conv<{PADS}>(r, v)",
    "depthwise": f"a = Conv<{PADS}>(x, w, b) r = Clip(a, low, high) y = Conv<{PADS}, group=4>(r, d)",
    "pooled": f"a = Conv<{PADS}>(x, w, b) r = Relu(a) m = MaxPool<kernel_shape=[2,2]>(r) y = Conv<{PADS}>(m, v)",
}


def _uneven(body: str, scales: Array = UNEVEN) -> ir.Model:
    w, v, d = draw(4, 4, 3, 3) * 0.2 * scales, draw(4, 4, 3, 3, seed=1) * 0.3, draw(4, 1, 3, 3, seed=2)
    return graph(body, w=w, v=v, d=d, b=draw(4, seed=3) * scales.reshape(-1), low=LOW, high=HIGH)


def _weight(model: ir.Model, name: str) -> Array:
    weight = constant_weight(next(node for node in model.graph if node.name == name))
    assert weight is not None
    return weight


def _error(weight: Array) -> float:
    """Squared error of the worst output channel under one scale, against its own size."""
    params = weight_params(weight, None)
    wrong = np.square(params.dequantize(params.quantize(weight)) - weight).reshape(len(weight), -1).sum(axis=1)
    return float((wrong / np.square(weight).reshape(len(weight), -1).sum(axis=1)).max())


@pytest.mark.parametrize("body", list(BODIES.values()), ids=list(BODIES))
def test_the_network_computes_the_same(body: str) -> None:
    model = _uneven(body)
    equalized = equalize(model, BATCHES, Progress()).model
    for x in DATA:
        assert Agreement.between([run(model, x)], [run(equalized, x)]).sqnr_db > 100


@pytest.mark.parametrize("body", [BODIES["relu"], BODIES["pooled"]])
def test_one_scale_fits_all_channels(body: str) -> None:
    model = _uneven(body)
    equalized = equalize(model, BATCHES, Progress()).model
    assert _error(_weight(equalized, "a")) < _error(_weight(model, "a")) / 10


@given(st.lists(st.floats(0.01, 100), min_size=4, max_size=4))
def test_both_layers_end_with_the_same_range_for_each_channel(scales: list[float]) -> None:
    model = _uneven(BODIES["relu"], np.array(scales, np.float32).reshape(4, 1, 1, 1))
    equalized = equalize(model, BATCHES, Progress()).model
    written = np.abs(_weight(equalized, "a")).max(axis=(1, 2, 3))
    read = np.abs(_weight(equalized, "y")).max(axis=(0, 2, 3))
    # r1 = r2 * constant for every channel is the optimum of Nagel et al., equation 10
    np.testing.assert_allclose(written / written.max(), read / read.max(), rtol=1e-3)


def test_a_channel_that_reaches_the_clip_keeps_its_scale_and_no_other_passes_it() -> None:
    model = _uneven(BODIES["relu6"])
    before = channel_peaks(model, ["a"], BATCHES, Progress())["a"]
    equalized = equalize(model, BATCHES, Progress()).model
    after = channel_peaks(equalized, ["a"], BATCHES, Progress())["a"]
    held = before >= 6
    assert held.any()
    assert not held.all()
    np.testing.assert_allclose(after[held], before[held], rtol=1e-6)
    assert (after[~held] <= 6 * 1.0001).all()


def test_what_a_factor_does_not_pass_is_no_pair() -> None:
    sigmoid = f"a = Conv<{PADS}>(x, w, b) r = Sigmoid(a) y = Conv<{PADS}>(r, v)"
    shared = f"a = Conv<{PADS}>(x, w, b) r = Relu(a) c = Conv<{PADS}>(r, v) y = Add(c, r)"
    shifted = f"a = Conv<{PADS}>(x, w, b) r = Clip(a, high) y = Conv<{PADS}>(r, v)"
    grouped = f"a = Conv<{PADS}>(x, w, b) r = Relu(a) y = Conv<{PADS}, group=2>(r, g)"
    computed = f"c = Abs(b) a = Conv<{PADS}>(x, w, c) r = Relu(a) y = Conv<{PADS}>(r, v)"
    for body in (sigmoid, shared, shifted, computed):
        assert pairs(_uneven(body).graph) == []
    model = graph(grouped, w=draw(4, 4, 3, 3), g=draw(4, 2, 3, 3), b=draw(4))
    assert equalize(model, BATCHES, Progress()).changes == ("no two layers can be equalized",)


def test_the_model_is_not_modified() -> None:
    model = _uneven(BODIES["relu"])
    before = _weight(model, "a").copy()
    equalize(model, BATCHES, Progress())
    np.testing.assert_array_equal(_weight(model, "a"), before)


def test_a_model_of_an_older_opset_is_equalized_too() -> None:
    model = _uneven(BODIES["relu6"])
    model.opset_imports[""] = 17
    equalized = equalize(model, BATCHES, Progress()).model
    assert Agreement.between([run(model, DATA[0])], [run(equalized, DATA[0])]).sqnr_db > 100
