"""Nodes in an order that a graph can run, cut where another unit takes over."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.validation.elsewhere.place import RunNode
from edgecompress.validation.elsewhere.segments import scheduled, segments_of, share_of_macs

BRANCHES = """<ir_version: 10, opset_import: ["": 21]>
m (float[1,4] x) => (float[1,4] y)
{
    [a] p = Relu(x)
    [far] q = Det(x)
    [b] r = Relu(p)
    [c] s = Neg(r)
    [join] y = Add(s, q)
}"""


def _nodes(**units: str) -> list[RunNode]:
    return [RunNode(name=name, operator="X", unit=unit) for name, unit in units.items()]


def test_a_branch_on_the_cpu_costs_a_crossing_and_no_more() -> None:
    graph = onnx.parser.parse_model(BRANCHES).graph
    nodes = _nodes(join="NPU", c="NPU", b="NPU", far="CPU", a="NPU")
    order = scheduled(nodes, graph)
    assert [node.name for node in order] == ["a", "b", "c", "far", "join"]
    assert [(each.unit, each.nodes) for each in segments_of(order)] == [("NPU", 3), ("CPU", 1), ("NPU", 1)]


def test_values_that_pass_through_other_nodes_keep_the_order() -> None:
    text = BRANCHES.replace("[b] r = Relu(p)", "k = Identity(p) [b] r = Relu(k)")
    order = scheduled(_nodes(b="NPU", a="CPU", c="CPU", join="CPU"), onnx.parser.parse_model(text).graph)
    assert [node.name for node in order] == ["a", "b", "c", "join"]


def test_nodes_that_the_file_does_not_have_come_first() -> None:
    order = scheduled(_nodes(a="NPU", added="CPU"), onnx.parser.parse_model(BRANCHES).graph)
    assert [node.name for node in order] == ["added", "a"]


@st.composite
def graphs(draw: Any) -> tuple[onnx.GraphProto, list[RunNode]]:
    """Graphs of drawn edges, each node on a drawn unit."""
    count = draw(st.integers(1, 8))
    made = []
    for place in range(count):
        read = draw(st.lists(st.integers(0, place), min_size=1, max_size=3, unique=True))
        made.append(onnx.helper.make_node("Sum", [f"v{each}" for each in read], [f"v{place + 1}"], name=f"n{place}"))
    units = draw(st.lists(st.sampled_from(["NPU", "CPU"]), min_size=count, max_size=count))
    nodes = [RunNode(name=f"n{place}", operator="Sum", unit=unit) for place, unit in enumerate(units)]
    return onnx.helper.make_graph(made, "g", [], []), draw(st.permutations(nodes))


def _crossings(nodes: list[RunNode]) -> int:
    return sum(first.unit != second.unit for first, second in itertools.pairwise(nodes))


@given(graphs())
def test_every_order_can_be_run_and_has_every_node(
    drawn: tuple[onnx.GraphProto, list[RunNode]],
) -> None:
    graph, nodes = drawn
    order = scheduled(nodes, graph)
    assert sorted(node.name for node in order) == sorted(node.name for node in nodes)
    there = {"v0"}
    outputs = {node.name: node for node in graph.node}
    for node in order:
        assert {*outputs[node.name].input} <= there
        there |= {*outputs[node.name].output}
    assert len(segments_of(order)) == _crossings(order) + 1


@given(st.lists(st.tuples(st.sampled_from(["NPU", "CPU"]), st.integers(0, 99)), max_size=9))
def test_shares_add_up(drawn: list[tuple[str, int]]) -> None:
    nodes = [RunNode(name=str(i), operator="X", unit=unit, macs=macs) for i, (unit, macs) in enumerate(drawn)]
    shares = [share_of_macs(nodes, unit) for unit in ("NPU", "CPU")]
    if not sum(macs for _, macs in drawn):
        assert shares == [None, None]
    else:
        np.testing.assert_allclose(sum(share or 0.0 for share in shares), 1.0)
        assert sum(segment.macs or 0 for segment in segments_of(nodes)) == sum(macs for _, macs in drawn)
