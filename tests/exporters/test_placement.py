"""What becomes integer, what follows, and what is left float for which reason."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.placement import place
from tests.exporters.graphs import draw, graph

W = draw(4, 4, 3, 3)
PADS = "pads=[1,1,1,1]"


def _reason(model: ir.Model, name: str, keep_float: tuple[str, ...] = ()) -> str:
    return next(refusal.reason for refusal in place(model.graph, keep_float).refusals if refusal.name == name)


def test_a_convolution_and_the_relu_behind_it_become_integer() -> None:
    placement = place(graph(f"c = Conv<{PADS}>(x, w) y = Relu(c)", w=W).graph)
    assert placement.placed == ("c",)
    assert placement.folded == ("y",)
    assert set(placement.pairs) == {"x", "y"}
    assert placement.refusals == ()


def test_a_relu_is_not_folded_where_somebody_else_reads_before_it() -> None:
    placement = place(graph(f"c = Conv<{PADS}>(x, w) r = Relu(c) y = Add(c, r)", w=W).graph)
    assert placement.folded == ()
    assert set(placement.placed) == {"c", "r", "y"}


def test_an_addition_of_integers_follows() -> None:
    body = f"a = Conv<{PADS}>(x, w) b = Conv<{PADS}>(a, w) y = Add(a, b)"
    assert set(place(graph(body, w=W).graph).placed) == {"a", "b", "y"}


def test_an_addition_of_a_constant_stays_float() -> None:
    model = graph(f"a = Conv<{PADS}>(x, w) y = Add(a, k)", w=W, k=draw(1))
    assert _reason(model, "y") == "an operand is constant"


def test_an_addition_of_a_float_stays_float() -> None:
    model = graph(f"a = Conv<{PADS}>(x, w) s = Softmax(x) y = Add(a, s)", w=W)
    assert _reason(model, "y") == "its inputs are not integers"
    assert _reason(model, "s") == "ONNX Runtime has no integer kernel that pays"


def test_pools_and_reshapes_pass_integers_on() -> None:
    body = f"a = Conv<{PADS}>(x, w) m = MaxPool<kernel_shape=[2,2]>(a) y = Flatten(m)"
    placement = place(graph(body, w=W).graph)
    assert placement.placed == ("a", "m", "y")
    assert set(placement.pairs) == {"x", "a"}


def test_a_pad_with_something_else_than_zero_stays_float() -> None:
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    one, zero = np.array(1, np.float32), np.array(0, np.float32)
    model = graph(f"a = Conv<{PADS}>(x, w) y = Pad(a, p, v)", w=W, p=pads, v=one)
    assert _reason(model, "y") == "it does not pad with zeros"
    assert "y" in place(graph(f"a = Conv<{PADS}>(x, w) y = Pad(a, p, v)", w=W, p=pads, v=zero).graph).placed


def test_a_convolution_with_a_computed_weight_stays_float() -> None:
    model = graph(f"k = Abs(w) y = Conv<{PADS}>(x, k)", w=W)
    assert _reason(model, "y") == "its weight is computed, not constant"


def test_the_recipe_keeps_nodes_float_by_wildcard() -> None:
    model = graph(f"stem = Conv<{PADS}>(x, w) head = Conv<{PADS}>(stem, w) y = Relu(head)", w=W)
    placement = place(model.graph, ("he*",))
    assert placement.placed == ("stem",)
    assert "the recipe keeps it float" in _reason(model, "head", ("he*",))


def test_gemm_with_a_factor_stays_float() -> None:
    model = graph("f = Flatten(x) y = Gemm<alpha=2.0>(f, w)", w=draw(256, 3))
    assert _reason(model, "y") == "Gemm with alpha, beta or transA has no integer kernel"


def test_a_graph_without_anchors_stays_as_it_is() -> None:
    placement = place(graph("y = Relu(x)").graph)
    assert placement.placed == ()
    assert placement.pairs == ()
