"""What becomes integer, what follows, and what is left float for which reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given

from edgecompress.quantization.kept_float import BY_RECIPE
from edgecompress.quantization.operators import RULES, Role
from edgecompress.quantization.placement import LEAST_PRODUCTS, place
from tests.exporters.drawn_graphs import drawn_graphs
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
    assert _reason(model, "s") == "ONNX Runtime has no integer kernel for it that is known here"


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


def test_a_concat_that_ends_the_network_stays_float_with_what_follows() -> None:
    body = f"a = Conv<{PADS}>(x, w) b = Conv<{PADS}>(x, w) c = Concat<axis=1>(a, b) t = Transpose(c) y = Reshape(t, s)"
    model = graph(body, w=W, s=np.array([0, 8, 8, 8], np.int64))
    assert place(model.graph).placed == ("a", "b")
    assert _reason(model, "c") == "no integer operator reads its result"
    assert _reason(model, "t") == _reason(model, "y") == "its inputs are not integers"


def test_a_concat_is_integer_for_an_anchor_that_reads_it() -> None:
    wide = draw(4, 8, 3, 3)
    body = f"a = Conv<{PADS}>(x, w) c = Concat<axis=1>(a, x) t = Transpose<perm=[0,1,3,2]>(c) y = Conv<{PADS}>(t, wide)"
    assert place(graph(body, w=W, wide=wide).graph).placed == ("a", "c", "t", "y")


def test_what_integers_cannot_pass_is_in_nobodys_way() -> None:
    # An anchor reads the result, behind an operator that has no integers to pass on.
    scales, mask = np.array([1, 1, 2, 2], np.float32), np.array([0, np.finfo(np.float32).min], np.float32).repeat(4)
    body = f"a = Conv<{PADS}>(x, w) c = Concat<axis=2>(a, a) {{}} y = Conv<{PADS}>(r, w)"
    resized = graph(body.format('r = Resize<mode="linear">(c, , s)'), w=W, s=scales)
    masked = graph(body.format("r = Add(c, mask)"), w=W, mask=mask)
    for model in (resized, masked):
        assert place(model.graph).placed == ("a", "y")
        assert _reason(model, "c") == "no integer operator reads its result"


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        ("Resize(a, , n)", {"n": np.array([1, 1, 2, 2], np.float32)}),
        ("Tile(a, n)", {"n": np.array([1, 1, 2, 2], np.int64)}),
        ("Expand(a, n)", {"n": np.array([1, 1, 8, 8], np.int64)}),
    ],
)
def test_what_writes_more_than_it_reads_does_so_in_floats_at_the_end(body: str, constants: dict[str, Any]) -> None:
    at_the_end = graph(f"a = Conv<{PADS}>(x, w) y = {body}", w=W, **constants)
    assert place(at_the_end.graph).placed == ("a",)
    before = graph(f"a = Conv<{PADS}>(x, w) m = {body} y = Conv<{PADS}>(m, w)", w=W, **constants)
    assert place(before.graph).placed == ("a", "m", "y")


BINS, MEANS = np.array([0, 4, 16, 4], np.int64), np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)


def test_the_head_that_takes_the_mean_of_a_distribution_stays_float() -> None:
    layers = f"a = Conv<{PADS}>(x, w) b = Conv<{PADS}>(x, w) c = Concat<axis=1>(a, b)"
    head = "l, r = Split<axis=1, num_outputs=2>(c) f = Reshape(l, bins) s = Softmax<axis=1>(f) y = Conv(s, means)"
    model = graph(f"{layers} {head}", w=W, bins=BINS, means=MEANS)
    assert place(model.graph).placed == ("a", "b")
    assert _reason(model, "y") == "it multiplies each value once: to make them integer costs more"


def test_a_convolution_of_few_products_is_integer_where_its_input_is() -> None:
    body = f"a = Conv<{PADS}>(x, w) y = Conv(a, means)"
    assert place(graph(body, w=W, means=MEANS).graph).placed == ("a", "y")


@pytest.mark.parametrize(("outputs", "placed"), [(LEAST_PRODUCTS - 1, ()), (LEAST_PRODUCTS, ("y",))])
def test_floats_are_made_integer_for_enough_products_with_each(outputs: int, placed: tuple[str, ...]) -> None:
    assert place(graph("t = Tanh(x) y = Conv(t, k)", k=draw(outputs, 4, 1, 1)).graph).placed == placed


@given(drawn_graphs())
def test_a_bridge_of_integers_ends_at_an_anchor(model: ir.Model) -> None:
    placement = place(model.graph)
    placed = set(placement.placed)
    for node in model.graph:
        if node.name in placed and RULES[node.op_type].role is Role.BRIDGE:
            assert any(RULES[end.op_type].role is Role.ANCHOR for end in _readers(node, placed | {*placement.folded}))


def _readers(node: ir.Node, placed: set[str]) -> list[ir.Node]:
    """The placed nodes that read a node, at once or through others of them."""
    found: dict[ir.Node, None] = {}
    waiting = [node]
    while waiting:
        readers = [user for output in waiting.pop().outputs for user, _ in output.uses() if user.name in placed]
        waiting += [reader for reader in readers if reader not in found]
        found.update(dict.fromkeys(readers))
    return list(found)


def test_a_pad_with_something_else_than_zero_stays_float() -> None:
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    made, zero = np.array(1, np.float32), np.array(0, np.float32)
    model = graph(f"a = Conv<{PADS}>(x, w) y = Pad(a, p, v)", w=W, p=pads, v=made)
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
