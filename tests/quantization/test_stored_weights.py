"""A float layer with INT8 weights computes with the rounded weights, and runs as any float layer does."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray

from edgecompress.calibration.schemes import weight_params
from edgecompress.exporters.graph import constant
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.kept_float import BY_BUDGET, BY_TIME
from edgecompress.quantization.lowering import floating
from edgecompress.quantization.stored_weights import LEAST_STORED, is_storable, store_weight, store_weights
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import Array, draw, graph, run
from tests.quantization.lowerings import lowering_of

X, W = draw(2, 4, 8, 8), draw(32, 4, 3, 3, seed=1)
W[:, 0, 0, 0] = 4  # the largest of each channel: it lies halfway between two integers, and only 127 is one of them
CONV = "c = Conv<pads=[1,1,1,1]>(x, w) y = Relu(c)"


def _rounded(weight: Array) -> NDArray[np.float64]:
    """The nearest of 255 steps of max|w| / 127.5 in each channel, counted in float64."""
    scale = np.abs(weight.astype(np.float64)).max(axis=(1, 2, 3), keepdims=True) / 127.5
    codes: NDArray[np.float64] = np.clip(np.rint(weight / scale), -128, 127)
    codes *= scale
    return codes


def test_the_layer_computes_with_the_rounded_weights() -> None:
    model = graph(CONV, w=W)
    store_weights(model, {"c"})
    wanted = torch.relu(torch.conv2d(torch.from_numpy(X).double(), torch.from_numpy(_rounded(W)), padding=1))
    np.testing.assert_allclose(run(model, X), wanted.numpy(), rtol=1e-4, atol=1e-4)


def test_the_runtime_carries_the_way_back_out_once_and_fuses_the_layer() -> None:
    model = graph(CONV, w=W)
    store_weights(model, {"c"})
    assert [node.op_type for node in optimized_graph(model)] == ["FusedConv"]


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_each_row_is_off_by_half_a_step_of_its_own(factor: float) -> None:
    weight = draw(3, 8, 64) * np.array([1e-3 * factor, 1, 1e3], np.float32).reshape(3, 1, 1)
    model = graph("y = MatMul(x, w)", w=weight)
    store_weight(model.graph, model.graph[0], 1, "y/W", shared=(-1,))
    codes, scale = (constant(model.graph.initializers[name]) for name in ("y/W_quantized", "y/W/scale"))
    assert codes is not None
    assert scale is not None
    assert codes.dtype == np.int8
    step = np.abs(weight).max(axis=-1, keepdims=True) / 127.5
    np.testing.assert_allclose(scale[step > 0], step[step > 0], rtol=1e-6)
    assert (np.abs(codes * scale - weight) <= 0.501 * step).all()


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_product_has_a_scale_for_each_column_that_it_writes(transposed: int) -> None:
    weight = draw(8, 64, seed=2)
    given = weight.T.copy() if transposed else weight
    model = graph(f"f = Flatten<axis=3>(x) y = Gemm<transB={transposed}>(f, w)", w=given)
    store_weights(model, {"y"})
    params = weight_params(weight, 1)
    wanted = X.reshape(-1, 8).astype(np.float64) @ params.dequantize(params.quantize(weight)).astype(np.float64)
    np.testing.assert_allclose(run(model, X), wanted, rtol=1e-4, atol=1e-4)


def test_few_weights_and_nodes_without_any_are_not_worth_it() -> None:
    model = graph("c = Conv(x, v) d = Conv(c, w) y = Relu(d)", v=draw(4, 4, 3, 3), w=draw(32, 4, 3, 3))
    assert LEAST_STORED > 4 * 4 * 3 * 3
    assert {node.name: is_storable(node) for node in model.graph} == {"c": False, "d": True, "y": False}


def test_only_what_stays_float_for_its_time_is_rounded() -> None:
    lowering = lowering_of(graph(CONV, w=W), X)
    stored, plain = (floating(lowering, ["c"], reason).write() for reason in (BY_TIME, BY_BUDGET))
    kinds = {str(value.name): value.dtype for value in stored.graph.initializers.values()}
    assert kinds == {"c/weight_quantized": ir.DataType.INT8, "c/weight/scale": ir.DataType.FLOAT}
    assert len(to_bytes(plain)) - len(to_bytes(stored)) > 2 * W.size
    assert [value.dtype for value in plain.graph.initializers.values()] == [ir.DataType.FLOAT]


def test_a_table_has_a_scale_for_each_row_and_gives_its_rows() -> None:
    table = draw(50, 16, seed=4) * np.logspace(-3, 3, 50, dtype=np.float32)[:, None]
    model = graph(
        "f = Flatten<axis=3>(x) i = Cast<to=7>(f) a = Abs(i) m = Mod(a, n) y = Gather(t, m)", t=table, n=np.array(50)
    )
    assert is_storable(model.graph[-1])
    store_weights(model, {"y"})
    rows = np.abs(X.reshape(-1, 8).astype(np.int64)) % 50
    steps = np.abs(table).max(axis=1) / 127.5
    assert (np.abs(run(model, X) - table[rows]) <= 0.501 * steps[rows][..., None] + 1e-9).all()


def test_a_table_that_is_read_along_another_axis_has_no_rows() -> None:
    model = graph("y = Gather<axis=1>(t, i)", t=draw(50, 16), i=np.array([1], np.int64))
    assert not is_storable(model.graph[-1])


def test_a_transposed_convolution_has_a_scale_for_each_channel_that_it_writes() -> None:
    weight = draw(4, 32, 2, 2, seed=5) * np.logspace(-2, 2, 32, dtype=np.float32)[:, None, None]
    model = graph("y = ConvTranspose<strides=[2,2]>(x, w)", w=weight)
    assert is_storable(model.graph[-1])
    wanted = run(model, X)
    store_weights(model, {"y"})
    error = (run(model, X) - wanted).astype(np.float64)
    noise = 10 * np.log10((wanted.astype(np.float64) ** 2).mean(axis=(0, 2, 3)) / (error**2).mean(axis=(0, 2, 3)))
    assert noise.min() > 38, "channels of whatever size are rounded alike"


@pytest.mark.parametrize(("prefer", "stored"), [("speed", set()), ("size", {"c", "y"})])
def test_size_has_the_weights_of_all_float_layers_stored(prefer: str, stored: set[str]) -> None:
    """A first convolution, float for its time by the table, and one without a kernel."""
    text = "p = Slice(x, b, e, a) c = Conv<pads=[1,1,1,1]>(p, w) r = Relu(c) y = ConvTranspose(r, t)"
    ends = {key: np.array([at], np.int64) for key, at in (("b", 0), ("e", 3), ("a", 1))}
    model = graph(text, w=draw(32, 3, 3, 3), t=draw(32, 8, 3, 3), **ends)
    lowering = lowering_of(model, X, prefer=prefer)
    assert lowering.stored == stored
    assert all(reason != BY_TIME for reason in lowering.placement.kept.values())
    assert not floating(lowering, ["c", "y"], BY_BUDGET).stored, "what returns for the budget has its floats"
