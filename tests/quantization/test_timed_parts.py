"""Parts have the times of the profiles, each once, and what is fused is one part."""

from __future__ import annotations

import pytest

from edgecompress.exporters.shapes import with_sizes
from edgecompress.quantization.crossing_price import CrossingPrice
from edgecompress.quantization.minimum_cut import Crossing, Times
from edgecompress.quantization.timed_parts import OUTSIDE, crossings_of, movable, parts_of
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of

PADS = "pads=[1,1,1,1]"
W = draw(4, 4, 3, 3)
X = draw(2, 4, 8, 8)
BODY = f"a = Conv<{PADS}>(x, w) r = Relu(a) c = Conv<{PADS}>(r, v) s = Add(c, r) t = Sin(s) y = Conv<{PADS}>(t, u)"


def _profiles(monkeypatch: pytest.MonkeyPatch, real: dict[str, float], integer: dict[str, float]) -> None:
    told = iter([real, integer])
    monkeypatch.setattr("edgecompress.quantization.timed_parts.node_times", lambda *_, **__: next(told))


def test_what_either_profile_fuses_is_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    lowering = lowering_of(graph(BODY, w=W, v=W * 0.5, u=W * 2), X)
    assert movable(lowering) == {"a", "r", "c", "s", "y"}
    # As floats the first convolution is told under the name of its Relu; as integers the Relu vanishes. The sum
    # behind the second convolution is counted with that as floats, and on its own as integers.
    _profiles(monkeypatch, {"r": 3.0, "c": 2.0, "y": 4.0}, {"a": 1.5, "c": 1.0, "s": 0.5, "y": 5.0})
    part, times = parts_of(lowering, {"x": X}, 1)
    assert part["a"] == part["r"]
    assert part["c"] == part["s"]
    assert {name: times[part[name]] for name in "acy"} == {
        "a": Times(integer=1.5, real=3.0),
        "c": Times(integer=1.5, real=2.0),
        "y": Times(integer=5.0, real=4.0),
    }


def test_real_profiles_tell_a_time_for_every_part() -> None:
    lowering = lowering_of(graph(BODY, w=W, v=W * 0.5, u=W * 2), X)
    part, times = parts_of(lowering, {"x": draw(64, 4, 8, 8)}, 1)  # or the profiler counts no microsecond
    assert set(part) == movable(lowering)
    assert set(times) == set(part.values())
    assert all(each.integer > 0 and each.real > 0 for each in times.values())


def test_values_between_parts_cost_by_their_size_at_the_batch_that_runs() -> None:
    lowering = lowering_of(graph(BODY, w=W, v=W * 0.5, u=W * 2), X)
    part = {"a": "first", "r": "first", "c": "second", "s": "sum", "y": "last"}
    price = CrossingPrice(each=0.5, value=0.001)
    cost = 0.5 + 0.001 * X.size
    found = list(crossings_of(with_sizes(lowering.floats, {"x": X}), part, price))

    def crossing(writer: str, *readers: str) -> Crossing:
        return Crossing(writer=writer, readers=readers, quantize=cost, dequantize=cost)

    assert found == [
        crossing(OUTSIDE, "first"),
        crossing("first", "second", "sum"),
        crossing("second", "sum"),
        crossing("sum", OUTSIDE),
        crossing(OUTSIDE, "last"),
        crossing("last", OUTSIDE),
    ]
