"""Factors and offsets behind a convolution become a part of it; others stay."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.exporters.canonicalize.channel_factors import fold_channel_factors
from tests.exporters.canonicalize.sequences import assert_unchanged, operators
from tests.exporters.graphs import Array, draw, graph, run

X = draw(2, 4, 8, 8)
CONSTANTS = {
    "w": draw(6, 4, 3, 3, seed=1),
    "b": draw(6, seed=2),
    "c": draw(6, 1, 1, seed=3),
    "d": draw(1, 6, 1, 1, seed=4),
    "n": draw(seed=5).reshape(()),
    "row": draw(6, seed=6),
    "zero": np.zeros((6, 1, 1), np.float32),
}


def _model(body: str) -> tuple[dict[str, Array], str]:
    words = body.replace("(", " ").replace(")", " ").replace(",", " ").split()
    return {name: array for name, array in CONSTANTS.items() if name in words}, body


@pytest.mark.parametrize("bias", ["", ", b"])
@pytest.mark.parametrize(
    "behind",
    [
        *("y = Mul(k, c)", "y = Mul(d, k)", "y = Div(k, c)", "y = Add(k, n)", "y = Add(c, k)", "y = Sub(k, d)"),
        *("m = Mul(k, c) y = Add(m, d)", "a = Add(k, d) m = Mul(n, a) y = Sub(m, c)"),
    ],
)
def test_they_join_the_convolution(behind: str, bias: str) -> None:
    constants, body = _model(f"k = Conv<pads=[1,1,1,1]>(x, w{bias}) {behind}")
    model = graph(body, **constants)
    folded = fold_channel_factors(model)
    assert operators(folded.model) == ["Conv"]
    assert len(folded.changes) == len(model.graph) - 1
    np.testing.assert_allclose(run(folded.model, X), run(model, X), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "body",
    [
        "k = Conv(x, w) y = Sub(c, k)",  # a negative of the convolution
        "k = Conv(x, w) y = Add(k, row)",  # along the width
        "k = Conv(x, w) y = Div(k, zero)",
        "k = Conv(x, w) m = Mul(k, c) y = Add(m, k)",  # somebody else reads the convolution
        "k = Conv(x, w) m = Mul(k, c) l = Conv(x, w) y = Add(m, l)",  # somebody else reads its weight
        "r = Relu(x) y = Mul(r, n)",
        "k = Conv(x, w) l = Conv(x, w) y = Mul(k, l)",
    ],
)
def test_others_stay(body: str) -> None:
    constants, text = _model(body)
    model = graph(text, **constants)
    assert_unchanged(model, fold_channel_factors(model))


def test_the_offset_of_a_convolution_whose_weight_is_shared_joins_it() -> None:
    constants, body = _model("k = Conv(x, w) m = Add(k, c) l = Conv(x, w) y = Mul(m, l)")
    model = graph(body, **constants)
    folded = fold_channel_factors(model).model
    assert operators(folded) == ["Conv", "Conv", "Mul"]
    np.testing.assert_allclose(run(folded, X), run(model, X), rtol=1e-3, atol=1e-4)
