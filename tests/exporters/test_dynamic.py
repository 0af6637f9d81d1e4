"""Dynamic INT8: matrix products on int8 weights; convolutions are named, not silently left alone."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.exporters.dynamic import quantize_dynamic
from edgecompress.exporters.fusion import optimized_graph
from edgecompress.metrics import Agreement
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run

X = draw(8, 4, 8, 8)


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


def test_a_convolution_is_named() -> None:
    model = graph("y = Conv<pads=[1,1,1,1]>(x, w)", w=draw(4, 4, 3, 3))
    result = quantize_dynamic(model)
    assert [(one.name, one.kind) for one in result.refusals] == [("y", "Conv")]
    assert to_bytes(result.model) == to_bytes(model)
