"""Profiling: every node that runs has a time, under a name that the float graph knows."""

from __future__ import annotations

from edgecompress.profiling import node_times
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph


def test_the_larger_convolution_takes_longer_and_keeps_its_name() -> None:
    model = graph("a = Conv<pads=[1,1,1,1]>(x, w) y = Conv(a, v)", w=draw(64, 4, 3, 3), v=draw(4, 64, 1, 1))
    times = node_times(to_bytes(model), {"x": draw(8, 4, 8, 8)})
    assert {"a", "y"} <= set(times)
    assert times["a"] > times["y"] > 0
