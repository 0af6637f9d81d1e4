"""The line of segments that a network is cut into where a device runs a part of it, and the CPU the rest.

At each end of a segment values are handed from one unit to the other, which costs time: a crossing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import onnx

from edgecompress.validation.elsewhere.place import RunNode


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Nodes that run one after the other on one unit.

    ``nodes`` is how many; ``first`` and ``last`` are their names; ``macs`` their multiply-accumulates for one run, None
    where they were not counted.
    """

    unit: str
    nodes: int
    macs: int | None
    first: str
    last: str

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return asdict(self)


def segments_of(nodes: Iterable[RunNode]) -> tuple[Segment, ...]:
    """The segments of nodes in the order in which they run.

    >>> a, b, c = (RunNode(name=n, operator="Add", unit=u) for n, u in [("a", "NPU"), ("b", "NPU"), ("c", "CPU")])
    >>> [(each.unit, each.nodes, each.first, each.last) for each in segments_of([a, b, c])]
    [('NPU', 2, 'a', 'b'), ('CPU', 1, 'c', 'c')]
    """
    grouped = ((unit, list(group)) for unit, group in groupby(nodes, key=lambda node: node.unit))
    return tuple(
        Segment(unit=unit, nodes=len(group), macs=macs_of(group), first=group[0].name, last=group[-1].name)
        for unit, group in grouped
    )


def macs_of(nodes: Iterable[RunNode]) -> int | None:
    """The multiply-accumulates of nodes for one run; None where those of a node are not known."""
    counts = [node.macs for node in nodes]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def share_of_macs(nodes: Sequence[RunNode], unit: str) -> float | None:
    """The share of the multiply-accumulates that a unit does, 0 to 1; None where they are not known, or there are none.

    >>> big, small = RunNode(name="a", operator="Conv", unit="NPU", macs=9), RunNode(name="b", operator="Gemm",
    ...     unit="CPU", macs=1)
    >>> share_of_macs([big, small], "NPU"), share_of_macs([], "NPU")
    (0.9, None)
    """
    total = macs_of(nodes)
    there = macs_of(node for node in nodes if node.unit == unit)
    return there / total if total and there is not None else None


def scheduled(nodes: Sequence[RunNode], graph: onnx.GraphProto) -> list[RunNode]:
    """Nodes in an order in which a graph can run them with few crossings: each unit goes on as long as it can.

    Args:
        nodes: by the names that they have in the graph.
        graph: what is no run node there, such as QuantizeLinear, only hands values on.
    """
    waiting = {node.name: node for node in _in_file_order(nodes, graph)}
    needs = {name: before & waiting.keys() for name, before in _needs(waiting, graph).items()}
    order: list[RunNode] = []
    unit = ""
    while waiting:
        ready = [node for name, node in waiting.items() if not needs.get(name, set()) & waiting.keys()]
        following = next((node for node in ready if node.unit == unit), ready[0])
        order.append(waiting.pop(following.name))
        unit = following.unit
    return order


def _in_file_order(nodes: Sequence[RunNode], graph: onnx.GraphProto) -> list[RunNode]:
    places = {node.name: place for place, node in enumerate(graph.node)}
    return sorted(nodes, key=lambda node: places.get(node.name, -1))


def _needs(names: Mapping[str, Any], graph: onnx.GraphProto) -> dict[str, set[str]]:
    """For each named node those of the names whose values reach it through nodes that have no name of these."""
    reaching: dict[str, set[str]] = {}
    found = {}
    for node in graph.node:
        before = set[str]().union(*(reaching.get(value, set()) for value in node.input))
        found[node.name] = before
        reaching |= dict.fromkeys(node.output, {node.name} if node.name in names else before)
    return {name: found[name] for name in names if name in found}
