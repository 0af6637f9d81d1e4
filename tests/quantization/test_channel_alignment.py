"""Channels that are added to fill a block change no output: by bits where sums are integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.exporters.finish import fault_of
from edgecompress.quantization.channel_alignment import BLOCK, LEAST_LEFT, align_channels
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
    before = lowering_of(model, X).write()
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
        "r = Concat<axis=1>(d, d) y = Conv(r, v2)",
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
        v2=draw(3, 2 * ODD, 1, 1, seed=7),
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


def _pool(model: ir.Model) -> ir.Model:
    return model


def _stored(model: ir.Model) -> ir.Model:
    store_weights(model, {"a", "y"})
    return model


@pytest.mark.parametrize("written", [_pool, _stored])
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
