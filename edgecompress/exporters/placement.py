"""Placement: which operators become integers in ONNX Runtime's CPU provider, and which stay float.

One table says what each operator needs. A QuantizeLinear/DequantizeLinear pair that the runtime does
not fuse costs more than it saves, so that an operator is placed only where the runtime has an integer
kernel for it *and* its inputs are integers already, or it is worth making them so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import constant, is_float
from edgecompress.step import Refusal


class Role(Enum):
    """How an operator meets integers."""

    ANCHOR = "worth quantizing its inputs for"
    CONNECTIVE = "integer where all of its inputs are"
    PASSTHROUGH = "runs on the integers of its input, scale and zero point unchanged"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one operator needs to become ``integer_op`` in ONNX Runtime.

    ``weight`` and ``bias`` are positions of constant inputs. ``float_output`` says that the integer
    kernel can write floats, so that its output needs no pair unless somebody wants integers.
    """

    role: Role
    integer_op: str = ""
    weight: int | None = None
    bias: int | None = None
    float_output: bool = False


RULES: dict[str, Rule] = {
    "Conv": Rule(role=Role.ANCHOR, integer_op="QLinearConv", weight=1, bias=2),
    "Gemm": Rule(role=Role.ANCHOR, integer_op="QGemm", weight=1, bias=2, float_output=True),
    "MatMul": Rule(role=Role.ANCHOR, integer_op="MatMulIntegerToFloat", weight=1, float_output=True),
    "Add": Rule(role=Role.CONNECTIVE, integer_op="QLinearAdd"),
    "Mul": Rule(role=Role.CONNECTIVE, integer_op="QLinearMul"),
    "Concat": Rule(role=Role.CONNECTIVE, integer_op="QLinearConcat"),
    "AveragePool": Rule(role=Role.CONNECTIVE, integer_op="QLinearAveragePool"),
    "GlobalAveragePool": Rule(role=Role.CONNECTIVE, integer_op="QLinearGlobalAveragePool"),
    **{
        op: Rule(role=Role.PASSTHROUGH)
        for op in ("Clip", "Flatten", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
    },
}
SATURATING = ("Relu", "Clip")
"""Activations that QuantizeLinear's saturation, or an integer Clip, can stand for."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The decision for one graph, by name of node and value.

    ``placed`` are nodes that become integer; ``pairs`` are values that get a QuantizeLinear/
    DequantizeLinear pair; ``folded`` are activations that the pair behind them makes superfluous.
    """

    placed: tuple[str, ...]
    pairs: tuple[str, ...]
    folded: tuple[str, ...]
    refusals: tuple[Refusal, ...]


def place(graph: ir.Graph, keep_float: Sequence[str] = ()) -> Placement:
    """Decide, in the order of the graph, what becomes integer.

    Args:
        graph: float, its nodes and values named, in topological order.
        keep_float: wildcards for the names of nodes that stay float.
    """
    placed: dict[str, ir.Node] = {}
    folded: dict[str, ir.Node] = {}
    refusals: list[Refusal] = []
    integers: dict[str, ir.Value] = {}
    for node in graph:
        if node.op_type in SATURATING and _follows(node, placed):
            folded[str(node.name)] = node
            if integers.pop(str(_source(node).name), None) is not None:
                integers[str(node.outputs[0].name)] = node.outputs[0]
            continue
        reason = _why_float(node, integers, keep_float)
        if reason is None:
            placed[str(node.name)] = node
            if not RULES[node.op_type].float_output:
                integers[str(node.outputs[0].name)] = node.outputs[0]
        elif any(is_float(output) for output in node.outputs):
            refusals.append(Refusal(name=str(node.name), kind=node.op_type, reason=reason))
    pairs = _pairs(placed, integers)
    kept = tuple(name for name, node in folded.items() if str(node.outputs[0].name) in pairs)
    return Placement(placed=tuple(placed), pairs=pairs, folded=kept, refusals=tuple(refusals))


def activations(node: ir.Node) -> list[ir.Value]:
    """The inputs of a placed node that hold activations."""
    rule = RULES[node.op_type]
    if rule.role is Role.PASSTHROUGH:
        return [_source(node)]
    return [value for value in node.inputs if value is not None and constant(value) is None]


def weight_axis(node: ir.Node, weight: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int | None:
    """The axis of a weight that holds the output channels; None where there is no single one."""
    if node.op_type == "Gemm":
        return 0 if node.attributes.get_int("transB") else 1
    if node.op_type == "MatMul":
        return 1 if weight.ndim == 2 else None
    return 0


def _source(node: ir.Node) -> ir.Value:
    source = node.inputs[0]
    assert source is not None
    return source


def _follows(node: ir.Node, placed: dict[str, ir.Node]) -> bool:
    """Whether an activation is the only reader of an integer operator's output."""
    source = _source(node)
    producer = source.producer()
    if producer is None or str(producer.name) not in placed or RULES[producer.op_type].role is Role.PASSTHROUGH:
        return False
    return len(source.uses()) == 1 and not source.is_graph_output() and _bounds_are_constant(node)


def _why_float(node: ir.Node, integers: dict[str, ir.Value], keep_float: Sequence[str]) -> str | None:
    """The reason to leave a node float, or None."""
    rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is None:
        return "ONNX Runtime has no integer kernel that pays"
    if any(fnmatchcase(str(node.name), pattern) for pattern in keep_float):
        return "the recipe keeps it float (quantization.keep_float)"
    if rule.role is Role.ANCHOR:
        return _why_no_anchor(node, rule)
    if rule.role is Role.CONNECTIVE and any(constant(value) is not None for value in node.inputs):
        return "an operand is constant"
    if not all(str(value.name) in integers for value in activations(node)):
        return "its inputs are not integers"
    return _why_no_passthrough(node)


def _why_no_anchor(node: ir.Node, rule: Rule) -> str | None:
    assert rule.weight is not None
    if not all(is_float(value) for value in node.inputs if value is not None):
        return "it is not float32"
    weight = constant(node.inputs[rule.weight])
    if weight is None and node.op_type != "MatMul":
        return "its weight is computed, not constant"
    if constant(node.inputs[0]) is not None:
        return "its first operand is constant"
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
    if node.op_type != "Pad":
        return None
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
        str(node.outputs[0].name) for node in placed.values() if RULES[node.op_type].role is Role.PASSTHROUGH
    }
    for node in placed.values():
        for value in activations(node):
            names[str(value.name)] = None
    names.update(dict.fromkeys(integers))
    return tuple(name for name in names if name not in passed)
