"""What is concatenated has the scale of the whole, so that integers are copied and not rounded once more.

A Concat of integers with scales of their own looks every value up in a table, and rounds it a second time; in a chain
of them, as ShuffleNet has and DenseNet, a value that only passes is rounded at each. TFLite asks for equal scales
there; here they are given where nothing else reads the parts, or where that costs the other readers little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import onnx_ir as ir
from scipy.cluster.hierarchy import DisjointSet

from edgecompress.calibration.schemes import QuantParams, Scheme
from edgecompress.quantization.operators import RULES, SATURATING, Role
from edgecompress.quantization.placement import Placement

COARSEST = 2.0
"""How many times as large the steps of a chain may be as those of one of its Concats."""
NEAR = 1.25
"""The same for a part that others read as well: what they lose is less than what the Concat gains."""
COVERED = 0.99
"""Share of a part's range that the whole has to cover, where others read it."""


def share_concat_scales(
    graph: ir.Graph, placement: Placement, params: Mapping[str, QuantParams], scheme: Scheme
) -> dict[str, QuantParams]:
    """Parameters under which the parts of a placed Concat have the scale of the whole, where that costs little.

    Args:
        graph: float.
        placement: what becomes integer.
        params: uint8 scale and zero point by name of value.
        scheme: the range of the integers.
    """
    placed, chains = frozenset(placement.placed), DisjointSet()
    wholes = {str(node.outputs[0].name): node for node in graph if node.op_type == "Concat" and node.name in placed}
    wholes = {name: node for name, node in wholes.items() if name in params}

    def decided(members: Iterable[str]) -> QuantParams:
        return _covering([params[name] for name in members if name in wholes], scheme)

    limits = dict.fromkeys(wholes, COARSEST)
    for whole, concat in wholes.items():
        chains.add(whole)
        for part in _parts(concat, placed, params):
            name = str(part.name)
            chains.add(name)
            limits.setdefault(name, np.inf if _readers(part, placed) == {concat} else NEAR)
            members = chains.subset(whole) | chains.subset(name)
            if all(_may_have(decided(members), params[each], limits[each], scheme) for each in members):
                chains.merge(whole, name)
    return {**params, **{name: decided(chain) for chain in chains.subsets() if len(chain) > 1 for name in chain}}


def _parts(concat: ir.Node, placed: frozenset[str], params: Mapping[str, QuantParams]) -> Iterator[ir.Value]:
    """The values whose integers a Concat reads, moved or as they are."""
    for value in concat.inputs:
        while value is not None and value.name not in params:
            mover = value.producer()
            value = mover.inputs[0] if mover is not None and mover.name in placed and _moves(mover) else None
        if value is not None and not _is_bounded(value):
            yield value


def _moves(node: ir.Node) -> bool:
    """Whether a node passes integers on as they are."""
    return RULES[node.op_type].role is Role.PASSTHROUGH and node.op_type not in (*SATURATING, "HardSigmoid")


def _is_bounded(value: ir.Value) -> bool:
    """Whether a value ends at a bound that its own scale makes the largest of the integers."""
    producer = value.producer()
    return producer is not None and producer.op_type == "Clip"


def _readers(value: ir.Value, placed: frozenset[str]) -> set[ir.Node | None]:
    """The nodes that read a value, moved or as it is; None among them for what is not integer, and for callers."""
    found: set[ir.Node | None] = {None} if value.is_graph_output() else set()
    for user, _ in value.uses():
        if user.name not in placed:
            found.add(None)
        elif _moves(user):
            found = found.union(*(_readers(output, placed) for output in user.outputs))
        else:
            found.add(user)
    return found


def _covering(params: Iterable[QuantParams], scheme: Scheme) -> QuantParams:
    """Parameters for all that these cover; those themselves where they are of one value."""
    known = list(params)
    if len(known) == 1:
        return known[0]
    ends = [_ends(each, scheme) for each in known]
    return scheme.activation_params(min(low for low, _ in ends), max(high for _, high in ends))


def _ends(params: QuantParams, scheme: Scheme) -> tuple[float, float]:
    """The least and the greatest value that integers stand for."""
    zero, scale = float(params.zero_point), float(params.scale)
    return -zero * scale, (scheme.quant_max - zero) * scale


def _may_have(shared: QuantParams, own: QuantParams, coarsest: float, scheme: Scheme) -> bool:
    """Whether a value may take shared parameters with steps up to so many times its own.

    A ReLU is exact only where zero is the least integer. What only a Concat reads is rounded to its steps anyway, and
    may lose what lies outside of its range.
    """
    (low, high), (own_low, own_high) = _ends(shared, scheme), _ends(own, scheme)
    covered = np.isinf(coarsest) or (low <= COVERED * own_low and high >= COVERED * own_high)
    fine = float(shared.scale) <= coarsest * float(own.scale)
    return bool(covered and fine and (shared.zero_point == 0) == (own.zero_point == 0))
