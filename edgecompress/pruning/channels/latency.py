"""The latency of a network in ONNX Runtime at any widths, from a few measurements.

A term for each layer with weights, which is timed in isolation at a few widths; and a term for everything else, which
shrinks with the elements that it touches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import fx

from edgecompress.pruning.channels.cost_terms import Term, add_up, extents_of, full, names_of, term
from edgecompress.pruning.channels.operator_times import Operator, Times, operator_of, time_operators
from edgecompress.pruning.channels.widths import Widths
from edgecompress.pruning.structure.analysis import Channels, Structure
from edgecompress.pruning.structure.groups import Group
from edgecompress.timing.clock import Clock


def latency_terms(structure: Structure, groups: Sequence[Group], whole_ms: float, clock: Clock) -> tuple[Term, ...]:
    """The terms whose sum is the latency of a network, in milliseconds.

    Args:
        structure: of the network.
        groups: whose widths can change.
        whole_ms: what the whole network takes in ONNX Runtime, for one call with the captured inputs.
        clock: what times the operators.
    """
    names, calls = names_of(groups), [node for node in structure.values if node.op == "call_function"]
    timed = {node: operator for node in calls if (operator := operator_of(structure, node)) is not None}
    times = time_operators(list(timed.values()), clock)
    layers = [_layer_term(structure, node, operator, times, names) for node, operator in timed.items()]
    inner = add_up(layers)(full(groups))
    scale = min(whole_ms / inner, 1.0) if inner else 1.0  # in isolation, an operator can take longer
    others = [_element_term(value, names) for node in calls for value in structure.values[node]]
    rate = max(whole_ms - inner, 0.0) / add_up(others)(full(groups))
    return (*(_scaled(part, scale) for part in layers), *(_scaled(part, rate) for part in others))


def _layer_term(
    structure: Structure, node: fx.Node, operator: Operator, times: Times, names: Mapping[int, str]
) -> Term:
    source, result = structure.values[node.all_input_nodes[0]][0], structure.values[node][0]
    axis = len(source.shape) - 1 if operator.kind == "MatMul" else len(source.shape) - len(operator.weight) + 1
    inputs, outputs = (extents_of(channels, names)[axis] for channels in (source, result))
    clock = times[operator]
    return term([inputs, outputs], lambda widths: clock(inputs.at(widths), outputs.at(widths)))


def _element_term(value: Channels, names: Mapping[int, str]) -> Term:
    extents = extents_of(value, names)
    return term(extents, lambda widths: math.prod(extent.at(widths) for extent in extents))


def _scaled(part: Term, factor: float) -> Term:
    cost: Callable[[Widths], float] = part.cost
    return Term(groups=part.groups, cost=lambda widths: factor * cost(widths))
