"""HardSigmoid as the same integers under other parameters: exact on the grid, whatever the range."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration import SCHEMES
from edgecompress.quantization.hard_sigmoid import align_thresholds, relabelled, thresholds
from edgecompress.quantization.placement import place
from tests.exporters.graphs import draw, graph

CONV = "Conv<pads=[1,1,1,1]>"
GATE = "HardSigmoid<alpha=0.1666667>"
W = draw(4, 4, 3, 3)
ALONE = graph(f"a = {CONV}(x, w) g = {GATE}(a) y = {CONV}(g, w)", w=W)
SWISH = graph(f"a = {CONV}(x, w) g = {GATE}(a) m = Mul(a, g) y = {CONV}(m, w)", w=W)
SHARED = graph(f"a = {CONV}(x, w) g = {GATE}(a) m = Mul(a, g) b = {CONV}(m, w) y = Add(a, b)", w=W)
RANGES = (st.floats(-50, 0), st.floats(0, 50))


def _gate(model: ir.Model) -> ir.Node:
    return next(node for node in model.graph if node.op_type == "HardSigmoid")


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=list(SCHEMES))
@pytest.mark.parametrize("model", [ALONE, SWISH, SHARED], ids=["alone", "swish", "shared"])
@given(low=RANGES[0], high=RANGES[1])
def test_the_integers_mean_the_hard_sigmoid(model: ir.Model, scheme: object, low: float, high: float) -> None:
    chosen = SCHEMES[scheme.name]  # type: ignore[attr-defined]
    before = chosen.activation_params(low, high)
    params = align_thresholds(model.graph, place(model.graph), {"a": before}, chosen)["a"]
    gate = _gate(model)
    codes = np.arange(chosen.quant_max + 1).astype(np.uint8)
    ends = [int(params.zero_point) + round(end / float(params.scale)) for end in thresholds(gate)]
    clipped = np.clip(codes, max(ends[0], 0), min(ends[1], 255)).astype(np.uint8)
    x = params.dequantize(codes)
    np.testing.assert_allclose(relabelled(gate, params).dequantize(clipped), np.clip(x / 6 + 0.5, 0, 1), atol=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=list(SCHEMES))
@given(low=RANGES[0], high=RANGES[1])
def test_no_value_that_matters_leaves_the_range(scheme: object, low: float, high: float) -> None:
    chosen = SCHEMES[scheme.name]  # type: ignore[attr-defined]
    before = chosen.activation_params(low, high)
    step = float(before.scale)
    for model, floor, ceiling in ((ALONE, -3, min(high, 3)), (SWISH, -3, high), (SHARED, min(low, -3), high)):
        params = align_thresholds(model.graph, place(model.graph), {"a": before}, chosen)["a"]
        covered = params.dequantize(np.array([0, chosen.quant_max], np.uint8))
        slack = float(params.scale) + step
        assert covered[0] <= floor + slack
        assert covered[1] >= ceiling - slack


def test_a_range_of_hundreds_keeps_a_finite_positive_scale() -> None:
    scheme = SCHEMES["fbgemm"]
    before = scheme.activation_params(-1000.0, 1000.0)
    params = align_thresholds(SHARED.graph, place(SHARED.graph), {"a": before}, scheme)["a"]
    assert float(params.scale) == pytest.approx(float(before.scale), rel=0.01)


def test_other_values_keep_their_parameters() -> None:
    scheme = SCHEMES["fbgemm"]
    params = {name: scheme.activation_params(-1.0, 2.0) for name in ("x", "a", "y")}
    aligned = align_thresholds(SWISH.graph, place(SWISH.graph), params, scheme)
    assert aligned["x"] is params["x"]
    assert aligned["y"] is params["y"]
