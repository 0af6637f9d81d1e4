"""Placement: which operators become integers in ONNX Runtime's CPU provider, and which stay float.

The table of :mod:`edgecompress.exporters.rules` says what each operator needs. A pair of QuantizeLinear
and DequantizeLinear that the runtime does not fuse costs more than it saves, so that an operator is placed
only where the runtime has an integer kernel for it *and* its inputs are integers already, or it is worth
making them so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import constant, is_float, source_of
from edgecompress.exporters.rules import RULES, SATURATING, UNKNOWN, Role, Rule
from edgecompress.step import Refusal

Kept = Mapping[str, str]
"""Wildcards for names of nodes, and why these stay float."""

LARGEST_OPERAND = 1e4
"""A constant beyond it is meant to hide values (an attention mask), not to be added to them."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The decision for one graph, by name of node and value.

    ``placed`` are nodes that become integer; ``pairs`` are values that get a QuantizeLinear/
    DequantizeLinear pair; ``folded`` are activations that the pair behind them makes superfluous; ``kept`` is what
    was to stay float, and why.
    """

    placed: tuple[str, ...]
    pairs: tuple[str, ...]
    folded: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    kept: dict[str, str]


def place(graph: ir.Graph, kept: Kept = MappingProxyType({})) -> Placement:
    """Decide, in the order of the graph, what becomes integer.

    Args:
        graph: float, its nodes and values named, in topological order.
        kept: what stays float, and why.
    """
    placed: dict[str, ir.Node] = {}
    folded: dict[str, ir.Node] = {}
    refusals: list[Refusal] = []
    integers: dict[str, ir.Value] = {}
    wanted = _wanted(graph, kept)
    for node in graph:
        if node.op_type in SATURATING and _follows(node, placed):
            folded[str(node.name)] = node
            if integers.pop(str(source_of(node).name), None) is not None:
                integers[str(node.outputs[0].name)] = node.outputs[0]
            continue
        reason = _why_float(node, integers, wanted, kept)
        if reason is None:
            placed[str(node.name)] = node
            if not RULES[node.op_type].float_output:
                integers.update({str(output.name): output for output in node.outputs})
        elif any(is_float(output) for output in node.outputs):
            refusals.append(Refusal(name=str(node.name), kind=node.op_type, reason=reason))
    pairs = _pairs(placed, integers)
    vanishing = tuple(name for name, node in folded.items() if str(node.outputs[0].name) in pairs)
    return Placement(placed=tuple(placed), pairs=pairs, folded=vanishing, refusals=tuple(refusals), kept=dict(kept))


def activations(node: ir.Node) -> list[ir.Value]:
    """The inputs of a placed node that hold activations."""
    rule = RULES[node.op_type]
    if rule.role is Role.PASSTHROUGH:
        return [source_of(node)]
    return [value for value in node.inputs if value is not None and constant(value) is None]


def _follows(node: ir.Node, placed: dict[str, ir.Node]) -> bool:
    """Whether an activation is the only reader of an integer operator's output."""
    source = source_of(node)
    producer = source.producer()
    if producer is None or str(producer.name) not in placed or RULES[producer.op_type].role is Role.PASSTHROUGH:
        return False
    return len(source.uses()) == 1 and not source.is_graph_output() and _bounds_are_constant(node)


def _wanted(graph: ir.Graph, kept: Kept) -> set[str]:
    """Names of the values that an anchor reads, directly or through operators that can be integer."""
    wanted: set[str] = set()
    for node in reversed(graph):
        rule = _rule(node)
        if rule is None or rule.role is Role.FLOAT or _why_kept(node, kept):
            continue
        if rule.role is Role.ANCHOR:
            is_wanted = _why_no_anchor(node, rule) is None
        else:
            is_wanted = any(str(output.name) in wanted for output in node.outputs)
        if is_wanted:
            wanted.update(str(value.name) for value in activations(node))
    return wanted


def _rule(node: ir.Node) -> Rule | None:
    return RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None


def _why_kept(node: ir.Node, kept: Kept) -> str | None:
    return next((reason for pattern, reason in kept.items() if fnmatchcase(str(node.name), pattern)), None)


def _why_float(node: ir.Node, integers: dict[str, ir.Value], wanted: set[str], kept: Kept) -> str | None:
    """The reason to leave a node float, or None."""
    rule = _rule(node)
    if rule is None:
        return UNKNOWN
    if rule.role is Role.FLOAT:
        return rule.reason
    if (reason := _why_kept(node, kept)) is not None:
        return reason
    if rule.role is Role.ANCHOR:
        return _why_no_anchor(node, rule)
    known = [str(value.name) in integers for value in activations(node)]
    if not all(known) and (rule.role is not Role.CONNECTIVE or not any(known)):
        return "its inputs are not integers"
    if rule.role is Role.PASSTHROUGH:
        return _why_no_passthrough(node)
    return _why_not_worth(node, rule, is_wanted=str(node.outputs[0].name) in wanted, is_whole=all(known))


def _why_not_worth(node: ir.Node, rule: Rule, *, is_wanted: bool, is_whole: bool) -> str | None:
    """The reason not to go on in integers; ``is_whole`` says that every input is integer already."""
    constants = [array for value in node.inputs if (array := constant(value)) is not None]
    if not all(is_float(value) for value in node.inputs if value is not None):
        return "it is not float32"
    if any(np.abs(array).max(initial=0.0) > LARGEST_OPERAND for array in constants):
        return "its constant operand is a mask: integers cannot hold it beside other values"
    if is_wanted or (is_whole and rule.role is Role.CONNECTIVE and not constants):
        return None
    return "no integer operator reads its result" if is_whole else "its inputs are not integers"


def _why_no_anchor(node: ir.Node, rule: Rule) -> str | None:
    assert rule.weight is not None
    if not all(is_float(value) for value in node.inputs if value is not None):
        return "it is not float32"
    weight = constant(node.inputs[rule.weight])
    if weight is None and node.op_type != "MatMul":
        return "its weight is computed, not constant"
    if constant(node.inputs[0]) is not None:
        return "its first operand is constant"
    bias = node.inputs[rule.bias] if rule.bias is not None and len(node.inputs) > rule.bias else None
    if bias is not None and constant(bias) is None:
        return "its bias is computed, not constant"
    return _why_no_gemm(node) if node.op_type == "Gemm" else None


def _why_no_gemm(node: ir.Node) -> str | None:
    plain = node.attributes.get_float("alpha", 1.0) == 1.0 and node.attributes.get_float("beta", 1.0) == 1.0
    if not plain or node.attributes.get_int("transA"):
        return "Gemm with alpha, beta or transA has no integer kernel"
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        bias = constant(node.inputs[2])
        if bias is None or bias.ndim != 1:
            return "its bias is not a constant vector"
    return None


def _why_no_passthrough(node: ir.Node) -> str | None:
    if node.op_type in SATURATING and not _bounds_are_constant(node):
        return "its bounds are computed, not constant"
    if node.op_type == "MaxPool" and len(node.outputs) > 1:
        return "it also writes indices"
    if node.op_type == "HardSigmoid" and node.attributes.get_float("alpha", 0.2) <= 0:
        return "its slope is not positive"
    if node.op_type == "Resize" and node.attributes.get_string("mode", "nearest") != "nearest":
        return "it interpolates, and only the nearest value is one of its integers"
    return _why_no_pad(node) if node.op_type == "Pad" else None


def _why_no_pad(node: ir.Node) -> str | None:
    fill = constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else np.zeros(1)
    if node.attributes.get_string("mode", "constant") != "constant" or fill is None or fill.any():
        return "it does not pad with zeros"
    return None


def _bounds_are_constant(node: ir.Node) -> bool:
    return all(value is None or constant(value) is not None for value in node.inputs[1:])


def _pairs(placed: dict[str, ir.Node], integers: dict[str, ir.Value]) -> tuple[str, ...]:
    """Values that need a pair: what placed nodes read, and what they must write as integers."""
    names: dict[str, None] = {}
    passed = {
        str(output.name)
        for node in placed.values()
        if RULES[node.op_type].role is Role.PASSTHROUGH
        for output in node.outputs
    }
    for node in placed.values():
        for value in activations(node):
            names[str(value.name)] = None
    names.update(dict.fromkeys(integers))
    return tuple(name for name in names if name not in passed)
