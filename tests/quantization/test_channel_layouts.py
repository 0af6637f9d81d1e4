"""What channels values may have, and how a Concat passes new ones on."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.quantization.channel_layouts import NEW, Layout, channel_layouts
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of

X = draw(4, 4, 8, 8)
FILLED = (*range(24), *(NEW,) * 8)
INPUTS = {"w": draw(24, 4, 1, 1, seed=1), "k": draw(24, 1, 3, 3, seed=2), "u": draw(24, 4, 1, 1, seed=3)}
BY_CHANNEL = "a = Conv(x, w) d = Conv<group=24, pads=[1,1,1,1]>(a, k)"


def _layouts(model: ir.Model) -> dict[str, Layout]:
    """The layouts of what nodes write, by name."""
    found = channel_layouts(lowering_of(model, X).write().graph, pools=False)
    return {str(fact.node.name): layout for fact, layout in found if fact.node is not None and fact.role != "reader"}


def test_what_is_read_by_a_convolution_is_filled() -> None:
    layouts = _layouts(graph(f"{BY_CHANNEL} y = Conv(d, v)", **INPUTS, v=draw(3, 24, 1, 1)))
    assert layouts["a"] == layouts["d"] == FILLED
    assert "y" not in layouts


def test_a_concat_has_the_new_channels_where_its_parts_have_them() -> None:
    body = f"{BY_CHANNEL} n = Conv(x, u) c = Concat<axis=1>(d, n, d) y = Conv(c, v)"
    layouts = _layouts(graph(body, **INPUTS, v=draw(3, 72, 1, 1)))
    assert layouts["c"] == (*FILLED, *range(24, 48), *range(48, 72), *(NEW,) * 8)
    assert "n" not in layouts


def test_nothing_is_filled_where_a_concat_has_to_stay() -> None:
    body = f"{BY_CHANNEL} c = Concat<axis=1>(d, d) s = Softmax<axis=1>(c) y = Conv(s, v)"
    assert _layouts(graph(body, **INPUTS, v=draw(3, 48, 1, 1))) == {}


def test_nothing_is_filled_where_two_concats_would_differ_and_are_added() -> None:
    body = f"{BY_CHANNEL} n = Conv(x, u) b = Concat<axis=1>(d, n) c = Concat<axis=1>(n, d) s = Add(b, c) y = Conv(s, v)"
    assert _layouts(graph(body, **INPUTS, v=draw(3, 48, 1, 1))) == {}


def test_a_sum_of_concats_that_agree_is_filled_and_what_is_added_to_it_follows() -> None:
    body = (
        f"{BY_CHANNEL} n = Conv(x, u) b = Concat<axis=1>(d, n) c = Concat<axis=1>(d, n) s = Add(b, c) "
        "m = Conv(x, t) z = Add(s, m) y = Conv(z, v)"
    )
    layouts = _layouts(graph(body, **INPUTS, t=draw(48, 4, 1, 1, seed=5), v=draw(3, 48, 1, 1)))
    assert layouts["b"] == layouts["c"] == layouts["m"] == (*FILLED, *range(24, 48))
