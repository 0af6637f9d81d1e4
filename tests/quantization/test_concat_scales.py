"""What is concatenated has the scale of the whole, where that costs little."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration.schemes import FBGEMM, QNNPACK, QuantParams, Scheme
from edgecompress.exporters.graph import constant
from edgecompress.metrics.agreement import Agreement
from edgecompress.quantization.concat_scales import COARSEST, share_concat_scales
from edgecompress.quantization.lowering import floating
from edgecompress.quantization.placement import place
from edgecompress.runtime import execute
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of

X = draw(8, 4, 8, 8)
CONVS = {"w1": draw(4, 4, 1, 1, seed=1), "w2": draw(4, 4, 1, 1, seed=2) * np.float32(3)}


def _scales(model: ir.Model) -> dict[str, float]:
    """The scale of each quantized value."""
    pairs = (node for node in model.graph if node.op_type == "QuantizeLinear")
    return {str(node.name).removesuffix("/q"): float(constant(node.inputs[1]) or 0) for node in pairs}


def _shared(model: ir.Model, params: dict[str, QuantParams], scheme: Scheme = QNNPACK) -> dict[str, QuantParams]:
    return share_concat_scales(model.graph, place(model.graph), params, scheme)


def _params(scale: float, zero_point: int = 0) -> QuantParams:
    return QuantParams(scale=np.array(scale, np.float32), zero_point=np.array(zero_point, np.uint8))


def test_parts_that_nothing_else_reads_are_rounded_once() -> None:
    model = graph(
        "a = Conv(x, w1) b = Conv(x, w2) c = Concat<axis=1>(a, b) y = Conv(c, v)", **CONVS, v=draw(2, 8, 1, 1)
    )
    scales = _scales(lowering_of(model, X).write())
    assert scales["a"] == scales["b"] == scales["c"]


def test_a_part_that_is_moved_first_has_the_scale_too() -> None:
    model = graph(
        "a = Conv(x, w1) b = Conv(x, w2) p = MaxPool<kernel_shape=[1,1]>(a) c = Concat<axis=1>(p, b) y = Conv(c, v)",
        **CONVS,
        v=draw(2, 8, 1, 1),
    )
    scales = _scales(lowering_of(model, X).write())
    assert scales["a"] == scales["c"]


@pytest.mark.parametrize("reader", ["n = Conv(a, w1)", "n = Relu(a)", "n = HardSigmoid(a)"])
@pytest.mark.parametrize(
    ("scale", "zero_point", "shares"),
    [(1.0, 128, True), (0.9, 128, True), (0.7, 128, False), (0.9, 60, False), (0.9, 200, False), (1.3, 128, False)],
)
def test_a_part_that_another_reads_shares_the_scale_of_a_whole_that_is_near(
    reader: str, scale: float, zero_point: int, *, shares: bool
) -> None:
    model = graph(
        f"a = Conv(x, w1) b = Conv(x, w2) {reader} c = Concat<axis=1>(a, b) z = Conv(c, v) y = Add(n, z)",
        **CONVS,
        v=draw(4, 8, 1, 1),
    )
    params = {name: _params(1, 128) for name in place(model.graph).pairs}
    params |= {"a": _params(scale, zero_point), "b": _params(5, 10)}
    shared = _shared(model, params)
    assert shared["a"] is params["c" if shares else "a"]
    assert shared["b"] is params["c"]


CHAIN = (
    "a = Conv(x, w1) b = Conv(x, w2) c = Concat<axis=1>(a, b) h, k = Split<axis=1, num_outputs=2>(c) "
    "m = Conv(h, w1) d = Concat<axis=1>(k, m) y = Conv(d, v)"
)


@given(first=st.floats(0.01, 10), ratio=st.floats(0.2, 5), scheme=st.sampled_from([QNNPACK, FBGEMM]))
def test_a_chain_has_one_scale_unless_that_is_coarse(first: float, ratio: float, scheme: Scheme) -> None:
    model = graph(CHAIN, **CONVS, v=draw(2, 8, 1, 1))
    params = {name: _params(0.001) for name in place(model.graph).pairs}
    params |= {"c": _params(first), "d": _params(first * ratio)}
    shared = _shared(model, params, scheme)
    coarse = max(ratio, 1 / ratio)
    if coarse < 0.99 * COARSEST:
        (scale,) = {float(shared[name].scale) for name in "abcdm"}
        assert scale == pytest.approx(max(first, first * ratio), rel=1e-5)
    elif coarse > 1.01 * COARSEST:
        assert (shared["c"], shared["d"]) == (params["c"], params["d"])
        assert (shared["a"], shared["m"]) == (params["c"], params["d"])
    assert shared["x"] is params["x"]


def test_a_relu_keeps_zero_as_its_least_integer() -> None:
    model = graph(
        "a = Conv(x, w1) r = Relu(a) b = Conv(x, w2) c = Concat<axis=1>(r, b) y = Conv(c, v)",
        **CONVS,
        v=draw(2, 8, 1, 1),
    )
    params = {"x": _params(1, 128), "r": _params(0.5), "b": _params(1, 120), "c": _params(2, 128)}
    shared = _shared(model, params)
    assert shared["r"] is params["r"]
    assert shared["b"] is params["c"]


def test_a_bounded_activation_keeps_the_scale_that_ends_at_its_bound() -> None:
    model = graph(
        "a = Conv(x, w1) r = Clip(a, zero, six) b = Conv(x, w2) s = Relu(b) c = Concat<axis=1>(r, s) y = Conv(c, v)",
        **CONVS,
        v=draw(2, 8, 1, 1),
        zero=np.array(0, np.float32),
        six=np.array(6, np.float32),
    )
    params = {"x": _params(1, 128), "r": _params(6 / 255), "s": _params(1), "c": _params(2)}
    shared = _shared(model, params)
    assert shared["r"] is params["r"]
    assert shared["s"] is params["c"]


def test_a_long_chain_agrees_better_than_with_scales_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    units = " ".join(
        f"h{i}, k{i} = Split<axis=1, num_outputs=2>(c{i}) m{i} = Conv(h{i}, w{i}) r{i} = Relu(m{i}) "
        f"c{i + 1} = Concat<axis=1>(r{i}, k{i})"
        for i in range(8)
    )
    weights = {f"w{i}": draw(4, 4, 1, 1, seed=10 + i) * np.float32(0.6) for i in range(8)}
    model = graph(
        f"a = Conv(x, f) c0 = Relu(a) {units} y = Conv(c8, v)",
        f=draw(8, 4, 1, 1, seed=5),
        v=draw(2, 8, 1, 1, seed=6),
        **weights,
    )
    expected = execute(model, {"x": X})
    together = Agreement.between(expected, execute(lowering_of(model, X).write(), {"x": X})).sqnr_db
    monkeypatch.setattr(
        "edgecompress.quantization.lowering.share_concat_scales", lambda graph, placement, params, scheme: params
    )
    apart = Agreement.between(expected, execute(lowering_of(model, X).write(), {"x": X})).sqnr_db
    assert together > apart


def test_a_part_of_two_concats_shares_only_where_both_are_near() -> None:
    body = (
        "a = Conv(x, w1) h = Conv(x, w2) b = Concat<axis=1>(a, h) c = Concat<axis=1>(a, a) r = Conv(b, v) "
        "s = Conv(c, v) y = Add(r, s)"
    )
    model = graph(body, **CONVS, v=draw(2, 8, 1, 1))
    params = {name: _params(1, 128) for name in place(model.graph).pairs}
    params |= {"a": _params(0.001, 128), "c": _params(0.001, 128), "b": _params(5, 128)}
    shared = _shared(model, params)
    assert float(shared["a"].scale) == pytest.approx(0.001)


def test_a_value_has_its_own_scale_where_the_concat_is_float() -> None:
    model = graph(
        "a = Conv(x, w1) b = Conv(x, w2) c = Concat<axis=1>(a, b) y = Conv(c, v)",
        w1=CONVS["w1"] * np.float32(1e-3),
        w2=CONVS["w2"],
        v=draw(2, 8, 1, 1),
    )
    lowering = lowering_of(model, X)
    apart = floating(lowering, ["y"])
    assert "c" not in apart.placement.placed
    assert float(lowering.params["a"].scale) == float(lowering.params["c"].scale)
    assert float(apart.params["a"].scale) < 0.01 * float(lowering.params["a"].scale)
    (expected,), (found,) = (execute(each, {"x": X}) for each in (model, apart.write()))
    assert Agreement.between([expected], [found]).sqnr_db > 25
