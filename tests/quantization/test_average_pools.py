"""An integer AveragePool runs as a convolution that sums the same integers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.quantization.average_pools import convolve_averages
from edgecompress.quantization.fusion import optimized_graph
from tests.exporters.graphs import draw, graph, run
from tests.quantization.lowerings import lowering_of

CHANNELS = 6
X = draw(4, 4, 8, 8)


def _quantized(pool: str) -> ir.Model:
    model = graph(
        f"a = Conv(x, w) m = AveragePool<{pool}>(a) y = Conv(m, v)",
        w=draw(CHANNELS, 4, 1, 1, seed=1),
        v=draw(3, CHANNELS, 1, 1, seed=2),
    )
    return lowering_of(model, X).write()


def _step(model: ir.Model) -> float:
    """One step of the pool's integers, as the last convolution passes it on at most."""
    scale = next(node.inputs[1] for node in model.graph if node.op_type == "QuantizeLinear" and node.name == "m/q")
    tensor = None if scale is None else scale.const_value
    assert tensor is not None
    return float(tensor.numpy()) * float(np.abs(draw(3, CHANNELS, 1, 1, seed=2)).sum(axis=1).max())


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padded=st.booleans(),
)
def test_it_sums_the_same_integers(kernel: tuple[int, int], strides: tuple[int, int], *, padded: bool) -> None:
    pads = [size // 2 for size in kernel] * 2 if padded else [0] * 4
    settings = f"kernel_shape={list(kernel)}, strides={list(strides)}, pads={pads}, count_include_pad=1"
    before = _quantized(settings)
    after = convolve_averages(before)
    kernels = Counter(node.op_type for node in optimized_graph(after))
    assert (kernels["QLinearConv"], kernels["QLinearAveragePool"], kernels["AveragePool"]) == (3, 0, 0)
    expected, found = run(before, X), run(after, X)
    assert expected.shape == found.shape
    # A mean between two integers may be rounded to either, and then on to another of the last scale.
    last = 1.01 * next(
        float(node.inputs[1].const_value.numpy())  # type: ignore[union-attr]
        for node in after.graph
        if node.name == "y/q"
    )
    assert np.abs(expected - found).max() <= _step(before) + last


def test_means_that_are_whole_are_the_same() -> None:
    before = _quantized("kernel_shape=[1,1]")
    assert np.array_equal(run(before, X), run(convolve_averages(before), X))


@pytest.mark.parametrize(
    "pool",
    [
        "kernel_shape=[3,3], pads=[1,1,1,1]",  # at the border it divides by fewer
        "kernel_shape=[3,3], strides=[2,2], ceil_mode=1",
        'kernel_shape=[2,2], auto_pad="SAME_UPPER"',
    ],
)
def test_a_pool_whose_windows_differ_stays(pool: str) -> None:
    before = _quantized(pool)
    after = convolve_averages(before)
    assert [node.op_type for node in after.graph] == [node.op_type for node in before.graph]


def test_a_float_pool_stays() -> None:
    model = graph("y = AveragePool<kernel_shape=[2,2]>(x)")
    assert [node.op_type for node in convolve_averages(model).graph] == ["AveragePool"]
