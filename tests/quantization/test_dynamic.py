"""Dynamic INT8: matrix products on int8 weights; convolutions are named, not silently left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgecompress.exporters.graph import constant
from edgecompress.metrics.agreement import Agreement
from edgecompress.quantization.dynamic import quantize_dynamic
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.runtime import open_session, run_session, to_bytes
from tests.exporters.graphs import draw, graph, run

pytestmark = pytest.mark.arithmetic
X = draw(8, 4, 8, 8)
Array = NDArray[Any]


def weights() -> st.SearchStrategy[Array]:
    """Matrices of (256, 16), among them those whose products all have one sign."""
    numbers = st.floats(-1, 1, width=32) | st.sampled_from((1.0, -1.0, 0.5, 0.0))
    return hnp.arrays(np.float32, (256, 16), elements=numbers, fill=st.sampled_from((0.0, 1.0, -1.0, 0.3)))


@pytest.mark.parametrize(
    ("body", "weight"),
    [
        ("f = Flatten(x) y = Gemm<transB=1>(f, w, b)", draw(32, 256)),
        ("f = Flatten(x) y = Gemm(f, w, b)", draw(256, 32)),
        ("f = Flatten(x) m = MatMul(f, w) y = Add(m, b)", draw(256, 32)),
    ],
)
def test_a_matrix_product_runs_on_int8_weights(
    body: str, weight: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    model = graph(body.replace("y = Gemm", "y = Gemm"), w=weight, b=draw(32))
    result = quantize_dynamic(model)
    operators = {node.op_type for node in optimized_graph(result.model)}
    assert operators & {"MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
    assert Agreement.between([run(model, X)], [run(result.model, X)]).sqnr_db > 30
    assert len(to_bytes(result.model)) < 0.5 * len(to_bytes(model))
    assert result.refusals == ()


@given(weight=weights())
def test_no_pair_of_products_can_saturate(weight: Array) -> None:
    """Every sum of two products of 8-bit activations stays below 2^15, in whatever order a kernel pairs them."""
    made = quantize_dynamic(graph("f = Flatten(x) y = MatMul(f, w)", w=weight)).model
    codes = constant(made.graph.initializers["y/weight_quantized"])
    assert codes is not None
    for signed in (codes.astype(int), -codes.astype(int)):
        pairs = np.sort(signed.clip(min=0), axis=0)[-2:].sum(axis=0)
        assert (255 * pairs < 2**15).all()


@given(weight=weights(), seed=st.integers(0, 99))
def test_the_answers_are_the_same_where_products_saturate(weight: Array, seed: int) -> None:
    made = quantize_dynamic(graph("f = Flatten(x) y = MatMul(f, w)", w=weight)).model
    x = {"x": np.abs(draw(3, 4, 8, 8, seed=seed))}
    exact, native = (run_session(open_session(made, 1, arithmetic=kind), x)[0] for kind in ("exact", "native"))
    np.testing.assert_allclose(native, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())


def test_a_convolution_is_named() -> None:
    model = graph("y = Conv<pads=[1,1,1,1]>(x, w)", w=draw(4, 4, 3, 3))
    result = quantize_dynamic(model)
    assert [(refusal.name, refusal.kind) for refusal in result.refusals] == [("y", "Conv")]
    assert to_bytes(result.model) == to_bytes(model)
