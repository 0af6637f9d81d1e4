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
