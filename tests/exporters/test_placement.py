"""What becomes integer, what follows, and what is left float for which reason."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.kept import BY_RECIPE
from edgecompress.exporters.placement import place
from tests.exporters.graphs import draw, graph

W = draw(4, 4, 3, 3)
PADS = "pads=[1,1,1,1]"


def _reason(model: ir.Model, name: str, keep_float: tuple[str, ...] = ()) -> str:
    kept = dict.fromkeys(keep_float, BY_RECIPE)
    return next(refusal.reason for refusal in place(model.graph, kept).refusals if refusal.name == name)


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


def test_an_addition_of_a_constant_follows_where_an_anchor_reads_it() -> None:
    body = f"a = Conv<{PADS}>(x, w) s = Add(a, k) y = Conv<{PADS}>(s, w)"
    assert set(place(graph(body, w=W, k=draw(1)).graph).placed) == {"a", "s", "y"}
    model = graph(f"a = Conv<{PADS}>(x, w) y = Add(a, k)", w=W, k=draw(1))
    assert _reason(model, "y") == "no integer operator reads its result"


def test_an_addition_of_a_mask_stays_float() -> None:
    mask = np.array([0, np.finfo(np.float32).min], np.float32).repeat(4)
    model = graph(f"a = Conv<{PADS}>(x, w) s = Add(a, mask) y = Conv<{PADS}>(s, w)", w=W, mask=mask)
    assert "its constant operand is a mask" in _reason(model, "s")


def test_an_addition_of_a_float_stays_float() -> None:
    model = graph(f"a = Conv<{PADS}>(x, w) s = Sin(x) y = Add(a, s)", w=W)
    assert _reason(model, "y") == "its inputs are not integers"
    assert _reason(model, "s") == "no table knows it"


def test_an_addition_of_a_float_follows_where_an_anchor_reads_it() -> None:
    placement = place(graph(f"a = Conv<{PADS}>(x, w) s = Sin(x) t = Add(a, s) y = Conv<{PADS}>(t, w)", w=W).graph)
    assert placement.placed == ("a", "t", "y")
    assert set(placement.pairs) == {"x", "a", "s", "t", "y"}


def test_a_sigmoid_that_ends_the_network_stays_float() -> None:
    model = graph(f"a = Conv<{PADS}>(x, w) y = Sigmoid(a)", w=W)
    assert _reason(model, "y") == "no integer operator reads its result"


def test_what_is_kept_float_does_not_make_others_integer() -> None:
    model = graph(f"a = Conv<{PADS}>(x, w) s = Sigmoid(a) y = Conv<{PADS}>(s, w)", w=W)
    assert "s" in place(model.graph).placed
    assert _reason(model, "s", ("y",)) == "no integer operator reads its result"


def test_a_pool_that_writes_indices_stays_float() -> None:
    model = graph(f"a = Conv<{PADS}>(x, w) y, i = MaxPool<kernel_shape=[2,2]>(a)", w=W)
    assert _reason(model, "y") == "it also writes indices"


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
    placement = place(model.graph, {"he*": "it is kept"})
    assert placement.placed == ("stem",)
    assert _reason(model, "head", ("he*",)) == BY_RECIPE


def test_gemm_with_a_factor_stays_float() -> None:
    model = graph("f = Flatten(x) y = Gemm<alpha=2.0>(f, w)", w=draw(256, 3))
    assert _reason(model, "y") == "Gemm with alpha, beta or transA has no integer kernel"


def test_a_graph_without_anchors_stays_as_it_is() -> None:
    placement = place(graph("y = Relu(x)").graph)
    assert placement.placed == ()
    assert placement.pairs == ()


def test_a_convolution_with_a_computed_bias_stays_float() -> None:
    model = graph(f"k = Abs(b) y = Conv<{PADS}>(x, w, k)", w=W, b=draw(4))
    assert _reason(model, "y") == "its bias is computed, not constant"
