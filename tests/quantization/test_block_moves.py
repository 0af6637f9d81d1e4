"""Blocks of integers are moved pixel by pixel, to the same places."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.exporters.finish import fault_of
from edgecompress.quantization.block_moves import move_pixels
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run
from tests.quantization.lowerings import lowering_of

X = draw(3, 4, 8, 8)


@given(
    side=st.sampled_from([2, 4]),
    channels=st.integers(2, 5),
    to_space=st.booleans(),
    activation=st.sampled_from(["r = Relu(a)", "r = Clip(a, zero, six)"]),
)
def test_the_bits_stay(side: int, channels: int, to_space: bool, activation: str) -> None:
    wide, kind = (channels * side**2, "DepthToSpace") if to_space else (channels, "SpaceToDepth")
    read = channels if to_space else channels * side**2
    model = graph(
        f"a = Conv(x, w) {activation} m = {kind}<blocksize={side}>(r) y = Conv(m, v)",
        w=draw(wide, 4, 1, 1, seed=1),
        v=draw(2, read, 1, 1, seed=2),
        zero=np.array(0, np.float32),
        six=np.array(1, np.float32),
    )
    before = lowering_of(model, X).write()
    after = move_pixels(before)
    assert fault_of(to_bytes(after)) is None
    assert np.array_equal(run(before, X), run(after, X))
    kinds = Counter(node.op_type for node in after.graph)
    assert (kinds[kind], kinds["Transpose"], kinds["Reshape"]) == (0, 3, 2)
    assert Counter(node.op_type for node in optimized_graph(after))["QLinearConv"] == 2


@pytest.mark.parametrize(
    "body",
    [
        'a = Conv(x, w) m = DepthToSpace<blocksize=2, mode="CRD">(a) y = Conv(m, v)',
        "t = Tanh(x) m = DepthToSpace<blocksize=2>(t) y = Relu(m)",
        "t = Tanh(x) c = Clip(t, zero, half) m = DepthToSpace<blocksize=2>(c) y = Relu(m)",
    ],
)
def test_another_stays(body: str) -> None:
    bounds = {"zero": np.array(0, np.float32), "half": np.array(0.5, np.float32)}
    model = graph(body, w=draw(8, 4, 1, 1, seed=1), v=draw(2, 2, 1, 1, seed=2), **bounds)
    before = lowering_of(model, X).write()
    assert [node.op_type for node in move_pixels(before).graph] == [node.op_type for node in before.graph]
