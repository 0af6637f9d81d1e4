"""Channels that are added to fill a block change no output: by bits where sums are integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecompress.exporters.finish import fault_of
from edgecompress.quantization.channel_alignment import align_channels
from edgecompress.quantization.channel_layouts import BLOCK, LEAST_LEFT
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.stored_weights import store_weights
from edgecompress.runtime import execute, to_bytes
from tests.exporters.graphs import Array, draw, graph, run
from tests.quantization.lowerings import lowering_of

X = draw(4, 4, 8, 8)
WHOLE, ODD = 32, 24


def _filters(model: ir.Model) -> dict[str, tuple[int, ...]]:
    """The shapes of all filters, by the name of the layer."""
    shapes = {}
    for node in model.graph:
        if node.op_type == "Conv":
            pair = node.inputs[1].producer() if node.inputs[1] is not None else None
            held = node.inputs[1] if pair is None else pair.inputs[0]
            while held is not None and held.const_value is None:
                source = held.producer()
                held = None if source is None else source.inputs[0]
            assert held is not None
            assert held.const_value is not None
            shapes[str(node.name)] = tuple(held.const_value.shape.numpy())
    return shapes


def _bottleneck(channels: int, after: str = "Relu(d)", between: str = "") -> ir.Model:
    """Wide, by channel, and narrow again."""
    model = graph(
        f"a = Conv(x, w, b) e = Relu(a) {between or 'f = Identity(e)'} "
        f"d = Conv<group={channels}, pads=[1,1,1,1]>(f, k, c) r = {after} y = Conv(r, v)",
        w=draw(channels, 4, 1, 1, seed=1),
        b=draw(channels, seed=2),
        k=draw(channels, 1, 3, 3, seed=3),
        c=draw(channels, seed=4),
        v=draw(3, channels, 1, 1, seed=5),
        zero=np.array(0, np.float32),
        six=np.array(6, np.float32),
    )
    return lowering_of(model, X).write()


def test_a_convolution_by_channel_gets_whole_blocks() -> None:
    aligned = align_channels(_bottleneck(ODD))
    assert _filters(aligned) == {"a": (WHOLE, 4, 1, 1), "d": (WHOLE, 1, 3, 3), "y": (3, WHOLE, 1, 1)}
    assert fault_of(to_bytes(aligned)) is None
    assert [node.op_type for node in optimized_graph(aligned)].count("QLinearConv") == 3
    groups = [node.attributes.get_int("group", 1) for node in aligned.graph if node.name == "d"]
    assert groups == [WHOLE]


@pytest.mark.parametrize("channels", [BLOCK, 2 * BLOCK, BLOCK + LEAST_LEFT - 1, 3])
def test_whole_blocks_and_few_channels_stay(channels: int) -> None:
    model = _bottleneck(channels)
    assert _filters(align_channels(model)) == _filters(model)


@given(
    channels=st.integers(4, 40),
    after=st.sampled_from(["Relu(d)", "Clip(d, zero, six)", "HardSwish(d)", "Sigmoid(d)", "Add(d, e)", "Mul(d, e)"]),
    between=st.sampled_from(["", "f = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(e)", "f = LeakyRelu(e)"]),
)
def test_integers_stay_the_same_bit_for_bit(channels: int, after: str, between: str) -> None:
    before = _bottleneck(channels, after, between)
    after_ = align_channels(before)
    assert np.array_equal(run(before, X), run(after_, X))
    left = channels % BLOCK
    assert _filters(after_)["d"][0] == (channels if left < LEAST_LEFT else channels + BLOCK - left)
    assert _filters(align_channels(after_)) == _filters(after_)


def test_a_gate_gets_the_channels_that_it_multiplies() -> None:
    model = graph(
        f"a = Conv(x, w) e = Relu(a) d = Conv<group={ODD}, pads=[1,1,1,1]>(e, k) p = GlobalAveragePool(d) "
        "s = Conv(p, q) t = Relu(s) u = Conv(t, o) g = Sigmoid(u) m = Mul(d, g) y = Conv(m, v)",
        w=draw(ODD, 4, 1, 1, seed=1),
        k=draw(ODD, 1, 3, 3, seed=3),
        q=draw(6, ODD, 1, 1, seed=5),
        o=draw(ODD, 6, 1, 1, seed=6),
        v=draw(3, ODD, 1, 1, seed=7),
    )
    before = lowering_of(model, X).write()
    aligned = align_channels(before)
    assert _filters(aligned) == {
        "a": (WHOLE, 4, 1, 1),
        "d": (WHOLE, 1, 3, 3),
        "s": (6, WHOLE, 1, 1),
        "u": (WHOLE, 6, 1, 1),
        "y": (3, WHOLE, 1, 1),
    }
    assert np.array_equal(run(before, X), run(aligned, X))


@pytest.mark.parametrize(
    "reader",
    [
        "r = Concat<axis=1>(d, x) y = Relu(r)",
        "h, r = Split<axis=1, num_outputs=2>(d) y = Add(h, r)",
        "r = Softmax<axis=1>(d) y = Conv(r, v)",
        "r = PRelu(d, slopes) y = Conv(r, v)",
        "r = Transpose<perm=[0,1,3,2]>(d) y = Conv(r, v)",
        "y = Relu(d)",
        "y = Conv<group=2>(d, half)",
    ],
)
def test_what_others_read_keeps_its_channels(reader: str) -> None:
    model = graph(
        f"a = Conv(x, w) e = Relu(a) d = Conv<group={ODD}, pads=[1,1,1,1]>(e, k) {reader}",
        w=draw(ODD, 4, 1, 1, seed=1),
        k=draw(ODD, 1, 3, 3, seed=3),
        v=draw(3, ODD, 1, 1, seed=7),
        half=draw(4, ODD // 2, 1, 1, seed=8),
        slopes=draw(ODD, 1, 1, seed=9),
    )
    before = lowering_of(model, X).write()
    assert _filters(align_channels(before)) == _filters(before)


def test_a_branch_that_reads_a_value_keeps_its_channels() -> None:
    before = _bottleneck(ODD)
    inner = ir.node("Identity", [next(node.outputs[0] for node in before.graph if node.name == "r/dq")])
    branch = ir.Graph([], [inner.outputs[0]], nodes=[inner], name="branch")
    inner.outputs[0].name, inner.name = "inner", "inner"
    attributes = {"then_branch": branch}
    before.graph.append(ir.node("If", [before.graph.inputs[0]], attributes, name="if"))
    assert _filters(align_channels(before)) == _filters(before)


def _stored(model: ir.Model) -> ir.Model:
    store_weights(model, {"a", "y"})
    return model


@pytest.mark.parametrize("written", [ir.Model.clone, _stored])
def test_a_float_pool_gets_whole_blocks(written: Callable[[ir.Model], ir.Model]) -> None:
    model = written(
        graph(
            "a = Conv(x, w, b) e = Relu(a) m = MaxPool<kernel_shape=[3,3]>(e) y = Conv(m, v)",
            w=draw(ODD, 4, 3, 3, seed=1),
            b=draw(ODD, seed=2),
            v=draw(16, ODD, 1, 1, seed=5),
        )
    )
    assert _filters(align_channels(model)) == _filters(model)  # on most CPUs it gains nothing
    aligned = align_channels(model, pools=True)
    assert _filters(aligned) == {"a": (WHOLE, 4, 3, 3), "y": (16, WHOLE, 1, 1)}
    (before,), (after,) = (execute(each, {"x": X}) for each in (model, aligned))
    reference: Array = before
    assert np.abs(after - reference).max() < 1e-5 * np.abs(reference).max()


def test_a_weight_that_layers_share_is_copied_for_the_wider_one() -> None:
    model = graph(
        f"a = Conv(x, w) e = Relu(a) d = Conv<group={ODD}, pads=[1,1,1,1]>(e, k) n = Conv(x, w) t = Tanh(n) "
        "r = Conv(d, v) y = Concat<axis=1>(r, t)",
        w=draw(ODD, 4, 1, 1, seed=1),
        k=draw(ODD, 1, 3, 3, seed=3),
        v=draw(3, ODD, 1, 1, seed=7),
    )
    before = lowering_of(model, X).write()
    aligned = align_channels(before)
    assert _filters(aligned)["a"] == (WHOLE, 4, 1, 1)
    assert _filters(aligned)["n"] == (ODD, 4, 1, 1)
    assert np.array_equal(run(before, X), run(aligned, X))


NARROW = 20


def test_new_channels_pass_a_concat_and_a_gather() -> None:
    """A ghost module whose halves are shuffled: new channels lie in the middle of what is read."""
    model = graph(
        f"a = Conv(x, w) e = Relu(a) d = Conv<group={NARROW}, pads=[1,1,1,1]>(e, k) r = Relu(d) "
        f"c = Concat<axis=1>(e, r) m = Conv<group={2 * NARROW}, pads=[1,1,1,1]>(c, l) "
        "g = Gather<axis=1>(m, chosen) s = Conv(g, v) y = Relu(s)",
        w=draw(NARROW, 4, 1, 1, seed=1),
        k=draw(NARROW, 1, 3, 3, seed=2),
        l=draw(2 * NARROW, 1, 3, 3, seed=3),
        v=draw(3, NARROW, 1, 1, seed=4),
        chosen=np.arange(1, 2 * NARROW, 2),
    )
    before = lowering_of(model, X).write()
    aligned = align_channels(before)
    assert _filters(aligned) == {"a": (32, 4, 1, 1), "d": (32, 1, 3, 3), "m": (64, 1, 3, 3), "s": (3, NARROW, 1, 1)}
    chosen = next(node.inputs[1] for node in aligned.graph if node.op_type == "Gather")
    assert chosen is not None
    assert chosen.const_value is not None
    assert chosen.const_value.numpy().tolist() == [*range(1, 20, 2), *range(33, 52, 2)]
    assert np.array_equal(run(before, X), run(aligned, X))


@st.composite
def _networks(draw_: st.DrawFn) -> ir.Model:
    """Convolutions, plain and by channel, with sums, products, Concats and Gathers of what was written so far."""
    counts: dict[str, int] = {"x": 4}
    nodes: list[str] = []
    constants: dict[str, NDArray[Any]] = {}

    def made(operator: str, channels: int) -> None:
        name = f"n{len(nodes)}"
        nodes.append(f"{name} = {operator}")
        counts[name] = channels

    def held(array: NDArray[Any]) -> str:
        constants[f"k{len(constants)}"] = array
        return f"k{len(constants) - 1}"

    made(f"Conv(x, {held(draw(24, 4, 1, 1))})", 24)
    for step in range(draw_(st.integers(2, 8))):
        source = draw_(st.sampled_from(sorted(counts, reverse=True)))
        count = counts[source]
        alike = sorted(name for name, channels in counts.items() if channels == count)
        match draw_(st.sampled_from(["plain", "channel", "channel", "relu", "concat", "add", "mul", "gather"])):
            case "plain":
                wide = draw_(st.sampled_from([20, 24, 24, 8]))
                made(f"Conv({source}, {held(draw(wide, count, 1, 1, seed=step))})", wide)
            case "channel":
                made(f"Conv<group={count}, pads=[1,1,1,1]>({source}, {held(draw(count, 1, 3, 3, seed=step))})", count)
            case "relu":
                made(f"Relu({source})", count)
            case "concat":
                other = draw_(st.sampled_from(sorted(counts)))
                made(f"Concat<axis=1>({source}, {other})", count + counts[other])
            case "gather":
                chosen = draw_(st.lists(st.integers(0, count - 1), min_size=1, max_size=24))
                made(f"Gather<axis=1>({source}, {held(np.array(chosen))})", len(chosen))
            case kind:
                made(f"{kind.capitalize()}({source}, {draw_(st.sampled_from(alike))})", count)
    last = f"n{len(nodes) - 1}"
    return graph(
        f"{' '.join(nodes)} last = Conv({last}, out) y = Relu(last)", out=draw(3, counts[last], 1, 1), **constants
    )


@given(_networks())
def test_any_network_computes_the_same_integers(model: ir.Model) -> None:
    before = lowering_of(model, X).write()
    aligned = align_channels(before)
    assert fault_of(to_bytes(aligned)) is None
    assert np.array_equal(run(before, X), run(aligned, X))
    for node in aligned.graph:
        if node.op_type == "Conv" and (count := node.attributes.get_int("group", 1)) > 1:
            assert _filters(aligned)[str(node.name)][0] == count


D = f"a = Conv(x, w) e = Relu(a) d = Conv<group={ODD}, pads=[1,1,1,1]>(e, k) "


@pytest.mark.parametrize(
    "body",
    [
        f"{D} u = Conv(d, q) g = Sigmoid(u) m = Mul(d, g) y = Conv(m, v)",  # a gate for all channels
        f"{D} m = Gather<axis=1>(d, third) n = Mul(m, d) y = Conv(n, v)",
        f"{D} m = Add(d, places) y = Conv(m, v)",
        f"{D} h = Add(d, e) m = Mul(h, factors) y = Conv(m, v)",
        "r = ReduceMean<keepdims=0>(x) b = Expand(r, wide) a = Conv(x, w, b) "
        f"d = Conv<group={ODD}>(a, k) y = Conv(d, v)",
        f"{D} f = Exp(one) g = Mul(v, f) y = Conv(d, g)",
        f"{D} g = Mul(norms, v) y = Conv(d, g)",
        f"{D} g = Mul(v, flat) y = Conv(d, g)",
    ],
)
def test_what_is_broadcast_or_computed_stays_right(body: str) -> None:
    model = graph(
        body,
        w=draw(ODD, 4, 1, 1, seed=1),
        k=draw(ODD, 1, 3, 3, seed=3),
        v=draw(3, ODD, 1, 1, seed=7),
        q=draw(1, ODD, 1, 1, seed=8),
        third=np.array([3]),
        places=draw(1, ODD, 8, 8, seed=9),
        factors=draw(1, ODD, 1, 1, seed=10),
        wide=np.array([ODD]),
        one=draw(1, ODD, 1, 1, seed=11),
        norms=draw(3, 1, 1, 1, seed=12),
        flat=draw(ODD, 1, 1, seed=13),
    )
    before = lowering_of(model, X).write()
    aligned = align_channels(before)
    assert fault_of(to_bytes(aligned)) is None
    assert np.array_equal(run(before, X), run(aligned, X))


def test_a_value_that_is_called_like_a_copy_is_not_written_twice() -> None:
    model = graph(
        "a = Conv(x, w) e = Relu(a) m = MaxPool<kernel_shape=[3,3]>(e) n = Conv(m, v) y = Relu(n)",
        w=draw(ODD, 4, 3, 3, seed=1),
        v=draw(16, ODD, 1, 1, seed=5),
    )
    next(node for node in model.graph if node.name == "n").outputs[0].name = "w.1"
    aligned = align_channels(model, pools=True)
    assert fault_of(to_bytes(aligned)) is None
    assert _filters(aligned)["a"] == (WHOLE, 4, 3, 3)
