"""Placement: which operators become integers in ONNX Runtime's CPU provider, and which stay float.

The table of :mod:`edgecompress.quantization.operators` says what each operator needs. A pair of QuantizeLinear
and DequantizeLinear that the runtime does not fuse costs more than it saves, so that an operator is placed
only where the runtime has an integer kernel for it *and* its inputs are integers already, or it is worth
making them so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import constant, is_float, source_of
from edgecompress.quantization.operators import ENLARGING, RULES, SATURATING, UNKNOWN, Role, Rule
from edgecompress.step import Refusal

Kept = Mapping[str, str]
"""Wildcards for names of nodes, and why these stay float."""

LARGEST_OPERAND = 1e4
"""A constant beyond it is meant to hide values (an attention mask), not to be added to them."""
LEAST_PRODUCTS = 2
"""Products with each input of a convolution below which floats are not made integer for it. A distance head takes
the mean of a distribution with one."""

NO_INTEGERS = "its inputs are not integers"
NOT_WANTED = "no integer operator reads its result"
THIN = "it multiplies each value once: to make them integer costs more"


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
        if rule is None or _why_unable(node, rule, kept) is not None:
            continue
        pays = rule.role is Role.ANCHOR and not _is_thin(node)
        if pays or any(str(output.name) in wanted for output in node.outputs):
            wanted.update(str(value.name) for value in activations(node))
    return wanted


def _rule(node: ir.Node) -> Rule | None:
    return RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None


def why_kept(name: str, kept: Kept) -> str | None:
    """The reason for which a node of that name was to stay float; None where it was not."""
    return next((reason for pattern, reason in kept.items() if fnmatchcase(name, pattern)), None)


def _why_float(node: ir.Node, integers: dict[str, ir.Value], wanted: set[str], kept: Kept) -> str | None:
    """The reason to leave a node float, or None."""
    rule = _rule(node)
    if rule is None:
        return UNKNOWN
    if (reason := _why_unable(node, rule, kept)) is not None:
        return reason
    known = [str(value.name) in integers for value in activations(node)]
    is_wanted = any(str(output.name) in wanted for output in node.outputs)
    if rule.role is Role.ANCHOR:
        return THIN if _is_thin(node) and not any(known) else None
    if rule.role is Role.PASSTHROUGH:
        return _why_not_passed(node, is_wanted=is_wanted, is_integer=all(known))
    return _why_not_worth(node, rule, is_wanted=is_wanted, known=known)


def _why_unable(node: ir.Node, rule: Rule, kept: Kept) -> str | None:
    """The reason to leave a node float whatever its neighbours are."""
    if rule.role is Role.FLOAT:
        return rule.reason
    if (reason := why_kept(str(node.name), kept)) is not None:
        return reason
    if rule.role is Role.PASSTHROUGH:
        return _why_no_passthrough(node)
    if not all(is_float(value) for value in node.inputs if value is not None):
        return "it is not float32"
    return _why_no_anchor(node, rule) if rule.role is Role.ANCHOR else _why_no_operand(node)


def _why_not_passed(node: ir.Node, *, is_wanted: bool, is_integer: bool) -> str | None:
    """The reason not to move integers; ``is_integer`` says that they are there."""
    if not is_integer:
        return NO_INTEGERS
    return NOT_WANTED if node.op_type in ENLARGING and not is_wanted else None


def _why_not_worth(node: ir.Node, rule: Rule, *, is_wanted: bool, known: Sequence[bool]) -> str | None:
    """The reason not to go on in integers; ``known`` says which of the computed inputs are integers already."""
    if not any(known) or (not all(known) and not is_wanted):
        return NO_INTEGERS
    has_constant = any(constant(value) is not None for value in node.inputs)
    if is_wanted or (rule.role is Role.CONNECTIVE and not has_constant):
        return None
    return NOT_WANTED


def _is_thin(node: ir.Node) -> bool:
    """Whether a convolution multiplies each of its inputs so few times that making them integer costs more."""
    weight = constant(node.inputs[1]) if node.op_type == "Conv" else None
    if weight is None:
        return False
    channels = int(weight.shape[1]) * node.attributes.get_int("group", 1)
    return int(weight.size) < LEAST_PRODUCTS * channels


def _why_no_operand(node: ir.Node) -> str | None:
    constants = [array for value in node.inputs if (array := constant(value)) is not None]
    if any(np.abs(array).max(initial=0.0) > LARGEST_OPERAND for array in constants):
        return "its constant operand is a mask: integers cannot hold it together with other values"
    return None


def _why_no_anchor(node: ir.Node, rule: Rule) -> str | None:
    assert rule.weight is not None
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
