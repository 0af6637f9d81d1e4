"""A factor behind a projection moves into its weights, and only into those that it multiplied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecompress.exporters.canonicalize.attention_scales import fold_attention_scales
from tests.exporters.canonicalize.sequences import (
    HEADS,
    LENGTH,
    WIDTH,
    assert_unchanged,
    integers,
    operators,
    outputs,
    sequence,
)
from tests.exporters.graphs import draw

X = draw(2, LENGTH, WIDTH)
W, B = draw(WIDTH, WIDTH, seed=1), draw(WIDTH, seed=2)
SPLIT, THIRDS = integers(0, LENGTH, HEADS, 4), integers(4, 4, 4)
HALF, NARROW = np.array(0.37, np.float32), draw(4, seed=3)


@pytest.mark.parametrize(
    ("body", "factors"),
    [
        ("h = MatMul(x, w) y = Mul(h, c) ", 1),
        ("h = MatMul(x, w) y = Div(h, c)", 1),
        ("h = MatMul(x, w) a = Add(b, h) r = Reshape(a, s) t = Transpose<perm=[0,2,1,3]>(r) y = Mul(c, t)", 1),
        ("h = MatMul(x, w) a = Add(h, b) p, q, r = Split<axis=-1>(a, n) u = Mul(q, c) m = Mul(u, p) y = Add(m, r)", 1),
        ("h = MatMul(x, w) p, q, r = Split<axis=2>(h, n) a = Add(q, v) u = Mul(a, c) m = Mul(u, p) y = Add(m, r)", 1),
        ("f = Flatten<axis=2>(x) g = Gemm<transB=1>(f, w, b) y = Mul(g, c)", 1),
        (
            """f = Flatten<axis=2>(x) g = Gemm(f, w, b) p, q, r = Split<axis=1>(g, n)
               u = Mul(q, c) m = Mul(u, p) y = Add(m, r)""",
            1,
        ),
    ],
)
def test_a_factor_moves_into_the_weights(body: str, factors: int) -> None:
    constants: dict[str, NDArray[Any]] = {"w": W, "b": B, "c": HALF, "s": SPLIT, "n": THIRDS, "v": NARROW}
    model = sequence(
        body + " z = Neg(y)", **{name: constant for name, constant in constants.items() if f"{name}" in body}
    )
    model.graph.outputs[0] = model.graph[-1].outputs[0]
    result = fold_attention_scales(model)
    assert len(result.changes) == factors
    assert len(result.model.graph) == len(model.graph) - factors
    np.testing.assert_allclose(outputs(result.model, X), outputs(model, X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "body",
    [
        "h = MatMul(x, w) y = Mul(h, c) z = Add(y, h)",  # somebody else reads the product
        "h = MatMul(x, w) y = Mul(h, b) z = Neg(y)",  # one factor for each column: not a scalar
        "h = MatMul(x, w) r = Relu(h) y = Mul(r, c) z = Neg(y)",
        "h = MatMul(x, w) y = Div(c, h) z = Neg(y)",
        """h = MatMul(x, w) t = Transpose<perm=[0,2,1]>(h) p, q = Split<axis=-1, num_outputs=2>(t)
           y = Mul(p, c) z = MatMul(y, q)""",
    ],
)
def test_another_factor_stays(body: str) -> None:
    model = sequence(body, **{name: each for name, each in {"w": W, "b": B, "c": HALF}.items() if name in body})
    model.graph.outputs[0] = model.graph[-1].outputs[0]
    assert_unchanged(model, fold_attention_scales(model))


def test_a_weight_with_a_second_reader_is_not_changed_for_it() -> None:
    model = sequence("h = MatMul(x, w) m = Mul(h, c) k = MatMul(x, w) y = Sub(m, k)", w=W, c=HALF)
    result = fold_attention_scales(model)
    assert operators(result.model) == ["MatMul", "MatMul", "Sub"]
    np.testing.assert_allclose(outputs(result.model, X), (HALF - 1) * (X @ W), rtol=1e-4, atol=1e-5)
