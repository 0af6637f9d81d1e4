"""Profiling: every node that runs has a time, under a name that the float graph knows."""

from __future__ import annotations

import resource

import pytest

from edgecompress.errors import OutputError
from edgecompress.runtime import to_bytes
from edgecompress.timing.profiling import layer_times, node_times, time_of
from tests.exporters.graphs import draw, graph


def test_the_larger_convolution_takes_longer_and_keeps_its_name() -> None:
    model = graph("a = Conv<pads=[1,1,1,1]>(x, w) y = Conv(a, v)", w=draw(64, 4, 3, 3), v=draw(4, 64, 1, 1))
    times = node_times(to_bytes(model), {"x": draw(8, 4, 8, 8)})
    assert {"a", "y"} <= set(times)
    assert times["a"] > times["y"] > 0


def test_a_layer_has_the_time_of_what_it_was_fused_into() -> None:
    convolution = "Conv<pads=[1,1,1,1]>(x, w)"
    fused = graph(f"a = {convolution} b = {convolution} s = Add(a, b) y = Relu(s)", w=draw(4, 4, 3, 3))
    first, second, *_ = fused.graph
    assert time_of(first, {"a": 1.0, "s": 2.0}) == 1.0
    assert time_of(first, {"s": 2.0, "y": 3.0}) == 2.0
    assert time_of(first, {"y": 3.0}) is None
    assert layer_times([first, second], {"b": 1.0, "s": 2.0}) == {"a": 2.0, "b": 1.0}
    assert layer_times([first, second], {"s": 2.0}) == {"a": 2.0}  # and not twice


def test_a_layer_is_found_by_what_it_computes() -> None:
    model = graph("y = Conv<pads=[1,1,1,1]>(x, w)", w=draw(4, 4, 3, 3))
    (layer,) = model.graph
    layer.name = "another"
    assert list(layer_times([layer], node_times(to_bytes(model), {"x": draw(1, 4, 8, 8)}))) == ["another"]


def test_a_profile_that_a_full_disk_cut_short_is_told() -> None:
    model = graph("y = Conv<pads=[1,1,1,1]>(x, w)", w=draw(4, 4, 3, 3))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"^temporary folder .* cannot be written: File too large; set TMPDIR to"):
            node_times(to_bytes(model), {"x": draw(1, 4, 8, 8)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
