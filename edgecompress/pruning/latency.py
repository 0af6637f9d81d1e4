"""Channels go where they buy time in ONNX Runtime, not where they buy multiply-accumulates.

The time of a network is written as a sum of terms: one for each layer with weights, timed alone at a few widths, and
one for everything else, which shrinks with the elements that it touches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import fx

from edgecompress.pruning.importance import Scores
from edgecompress.pruning.operator_times import Operator, Times, operator_of, time_operators
from edgecompress.pruning.structure.analysis import Channels, Structure
from edgecompress.pruning.structure.groups import Group
from edgecompress.pruning.widths import Widths, step_of

LEAST_SHARE = 0.1
"""Of the units of a group, what is always kept."""
STEPS = 12
"""Into which a group is cut, where its own step is finer."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """The length of an axis as a function of the widths: channels that always stay, and so many for each unit."""

    fixed: int
    per_unit: Mapping[str, int]

    def at(self, widths: Widths) -> int:
        """The length at these widths."""
        return self.fixed + sum(count * widths[name] for name, count in self.per_unit.items())


@dataclass(frozen=True, kw_only=True)
class Term:
    """A part of the latency and the groups that it depends on."""

    groups: frozenset[str]
    milliseconds: Callable[[Widths], float]


def latency_terms(structure: Structure, groups: Sequence[Group], whole_ms: float, threads: int) -> tuple[Term, ...]:
    """The terms whose sum is the latency of a network at any widths.

    Args:
        structure: of the network.
        groups: whose widths can change.
        whole_ms: what the whole network takes in ONNX Runtime, for one call with the captured inputs.
        threads: of the sessions.
    """
    names = {unit: group.name for group in groups for unit in group.units}
    timed = {node: operator for node in structure.values if (operator := _operator(structure, node)) is not None}
    times = time_operators(list(timed.values()), threads)
    full = {group.name: len(group.units) for group in groups}
    layers = [_layer_term(structure, node, times, names) for node in timed]
    inner = sum(term.milliseconds(full) for term in layers)
    scale = min(whole_ms / inner, 1.0) if inner else 1.0  # alone, an operator can take longer than in its network
    others = [_element_term(value, names) for node in structure.values for value in _computed(structure, node)]
    elements = sum(term.milliseconds(full) for term in others)
    rate = max(whole_ms - inner, 0.0) / elements
    return (*(_scaled(term, scale) for term in layers), *(_scaled(term, rate) for term in others))


def spend_on_time(
    groups: Sequence[Group], scores: Scores, multiple: int, terms: Sequence[Term]
) -> Callable[[float], Widths]:
    """Widths by amount: from all (0) to the narrowest (1), each step where a millisecond costs least importance."""
    path = [{group.name: len(group.units) for group in groups}]
    ranked = {group.name: sorted(scores[unit] for unit in group.units) for group in groups}
    touched = {group.name: [term for term in terms if group.name in term.groups] for group in groups}
    prices: dict[str, tuple[float, int] | None] = {}
    stale = {group.name for group in groups}
    while True:
        widths = path[-1]
        for group in groups:
            if group.name in stale:
                prices[group.name] = _price(group, ranked[group.name], multiple, widths, touched[group.name])
        offers = [(offer[0], name, offer[1]) for name, offer in prices.items() if offer is not None]
        if not offers:
            break
        _, name, kept = min(offers)
        path.append({**widths, name: kept})
        stale = {other for term in touched[name] for other in term.groups}
    return lambda amount: path[min(int(amount * len(path)), len(path) - 1)]


def latency_at(terms: Sequence[Term]) -> Callable[[Widths], float]:
    """The predicted latency, in milliseconds, as a function of the widths."""
    return lambda widths: sum(term.milliseconds(widths) for term in terms)


def _price(
    group: Group, ranked: Sequence[float], multiple: int, widths: Widths, terms: Sequence[Term]
) -> tuple[float, int] | None:
    """Importance lost for a millisecond with the next step of a group, and the units it would keep."""
    step = step_of(group, multiple)
    step *= max(round(len(group.units) / STEPS / step), 1)
    now = widths[group.name]
    kept = (math.ceil(now / step) - 1) * step
    if kept < max(step, LEAST_SHARE * len(group.units)):
        return None
    # What is lost is taken relative to what is left, so that no group is spent to its last unit while others are whole.
    lost = math.log(max(sum(ranked[len(ranked) - now :]), 1e-12) / max(sum(ranked[len(ranked) - kept :]), 1e-12))
    then = {**widths, group.name: kept}
    gained = sum(term.milliseconds(widths) - term.milliseconds(then) for term in terms)
    return lost / max(gained, 1e-9), kept


def _operator(structure: Structure, node: fx.Node) -> Operator | None:
    return operator_of(structure, node) if node.op == "call_function" else None


def _layer_term(structure: Structure, node: fx.Node, times: Times, names: Mapping[int, str]) -> Term:
    operator = operator_of(structure, node)
    assert operator is not None
    source, result = structure.values[node.all_input_nodes[0]][0], structure.values[node][0]
    axis = len(source.shape) - 1 if operator.kind == "MatMul" else len(source.shape) - len(operator.weight) + 1
    inputs, outputs = _extent(source, axis, names), _extent(result, axis, names)
    clock = times[operator]
    return Term(
        groups=frozenset((*inputs.per_unit, *outputs.per_unit)),
        milliseconds=lambda widths: clock(inputs.at(widths), outputs.at(widths)),
    )


def _element_term(value: Channels, names: Mapping[int, str]) -> Term:
    extents = [_extent(value, axis, names) for axis in range(len(value.shape))]
    return Term(
        groups=frozenset(name for extent in extents for name in extent.per_unit),
        milliseconds=lambda widths: float(math.prod(extent.at(widths) for extent in extents)),
    )


def _extent(channels: Channels, axis: int, names: Mapping[int, str]) -> Extent:
    counts: dict[str, int] = {}
    units: dict[str, set[int]] = {}
    for at, classes in channels.axes:
        for unit in classes.tolist() if at == axis else ():
            if unit in names:
                counts[names[unit]] = counts.get(names[unit], 0) + 1
                units.setdefault(names[unit], set()).add(unit)
    per_unit = {name: count // len(units[name]) for name, count in counts.items()}
    return Extent(fixed=channels.shape[axis] - sum(counts.values()), per_unit=per_unit)


def _computed(structure: Structure, node: fx.Node) -> Sequence[Channels]:
    return structure.values[node] if node.op == "call_function" else ()


def _scaled(term: Term, factor: float) -> Term:
    return Term(groups=term.groups, milliseconds=lambda widths: factor * term.milliseconds(widths))
