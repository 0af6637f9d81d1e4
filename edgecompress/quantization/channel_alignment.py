"""Channels between layers rounded up to whole blocks, since kernels are slow at what is left over of one.

ONNX Runtime's integer convolutions by channel work on 16 channels at once and on the rest one by one: 58 channels take
as long as 128. A value between convolutions can have more channels: filters of zeros write them, and weights of zeros
read them. Integer sums stay the same, bit for bit. On CPUs with AVX-512 it holds for float pools, too: they leave the
blocked layout where channels do not fill its blocks, which are of 8 with AVX2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
from scipy.cluster.hierarchy import DisjointSet

from edgecompress.exporters.graph import constant, initializer, producer

BLOCK = 16
"""Channels that the kernels work on at once: bytes in 128 bits, floats in 512."""
LEAST_LEFT = 4
"""Channels left over of a block below which nothing is lost: one takes as long as a block."""
BY_CHANNEL = (
    *("Relu", "Clip", "LeakyRelu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "Identity"),
    *("QuantizeLinear", "DequantizeLinear"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
)
"""Operators that make each channel of the same channel of their first input; the other inputs hold a single number."""
ELEMENTWISE = ("Add", "Mul")
POOLS = ("MaxPool", "AveragePool")
STORING = ("DequantizeLinear", "Cast", "Mul")
"""Operators between the numbers of a weight as they are stored and the layer that reads them."""

Role = Literal["writer", "reader", "between", "pool", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What a node says of the channels of a value.

    Attributes:
        value: it says so of.
        node: it is; None for the graph, whose inputs and outputs have the channels that callers know.
        role: a convolution that writes the channels, one that reads them, one that works by channel, or a pool; or
            one that nothing is known about. None where it only joins.
        same: another value, which has the same channels.
    """

    value: ir.Value
    node: ir.Node | None = None
    role: Role | None = None
    same: ir.Value | None = None


def align_channels(model: ir.Model, *, pools: bool = False) -> ir.Model:
    """A copy of a quantized model whose convolutions by channel have whole blocks of channels, where that is exact.

    New channels come last, so the first ones of a value are what they were.

    Args:
        model: with QuantizeLinear and DequantizeLinear; not modified.
        pools: whether float pools gain by whole blocks as well, on the CPU that the model is for.
    """
    aligned = model.clone()
    for facts in list(_same_channels(aligned.graph, pools=pools)):
        left = _channels(facts) % BLOCK
        if left >= LEAST_LEFT:
            for fact in facts:
                _widen(aligned.graph, fact, BLOCK - left)
    passes.RemoveUnusedNodesPass()(aligned)
    return aligned


def _same_channels(graph: ir.Graph, *, pools: bool) -> Iterator[list[Fact]]:
    """All facts on values that have the same channels, where they may have more, and a kernel gains by it."""
    facts, sets = list(_facts_of(graph)), DisjointSet()
    for fact in facts:
        sets.add(fact.value)
        if fact.same is not None:
            sets.add(fact.same)
            sets.merge(fact.value, fact.same)
    classes: dict[ir.Value, list[Fact]] = defaultdict(list)
    for fact in facts:
        classes[sets[fact.value]].append(fact)
    for known in classes.values():
        roles = {fact.role for fact in known}
        if (
            "unknown" not in roles
            and {"writer", "reader"} <= roles
            and any(_gains(fact, pools=pools) for fact in known)
        ):
            yield known


def _facts_of(graph: ir.Graph) -> Iterator[Fact]:
    for value in (*graph.inputs, *graph.outputs):
        yield Fact(value=value, role="unknown")
    for node in graph:
        yield from _facts(node)
    for node in (node for inner in graph.subgraphs() for node in inner):
        yield from _unknown(node)


def _facts(node: ir.Node) -> Iterator[Fact]:
    source, output = node.inputs[0] if node.inputs else None, node.outputs[0]
    if source is None or node.domain not in ("", "ai.onnx") or len(node.outputs) > 1:
        yield from _unknown(node)
    elif node.op_type == "Conv" and _is_plain(node):
        yield Fact(value=output, node=node, role="writer")
        yield Fact(value=source, node=node, role="reader")
    elif node.op_type == "Conv" and _is_by_channel(node):
        yield Fact(value=output, node=node, role="between", same=source)
    elif node.op_type in BY_CHANNEL and all(map(_is_number, node.inputs[1:])):
        yield Fact(value=output, node=node, role="pool" if node.op_type in POOLS else None, same=source)
    elif node.op_type in ELEMENTWISE and all(constant(value) is None for value in node.inputs):
        for value in node.inputs:
            yield Fact(value=output, node=node, same=value)
    else:
        yield from _unknown(node)


def _unknown(node: ir.Node) -> Iterator[Fact]:
    for value in (*node.inputs, *node.outputs):
        if value is not None:
            yield Fact(value=value, node=node, role="unknown")


def _is_plain(conv: ir.Node) -> bool:
    return conv.attributes.get_int("group", 1) == 1 and _filters(conv) is not None


def _is_by_channel(conv: ir.Node) -> bool:
    filters = _filters(conv)
    return filters is not None and filters[:2] == (conv.attributes.get_int("group", 1), 1)


def _is_number(value: ir.Value | None) -> bool:
    held = constant(value)
    return value is None or (held is not None and held.size == 1)


def _filters(conv: ir.Node) -> tuple[int, ...] | None:
    """The shape of the filters, (outputs, inputs of a group, *sizes); None where they are not this layer's own."""
    value = conv.inputs[1]
    while (storing := producer(value, *STORING)) is not None and value is not None and len(value.uses()) == 1:
        value = storing.inputs[0]
    held = constant(value)
    return None if held is None else held.shape


def _gains(fact: Fact, *, pools: bool) -> bool:
    """Whether its kernel is slow at channels that are left over: an integer convolution by channel, or a float pool."""
    integer = fact.node is not None and producer(fact.node.inputs[0], "DequantizeLinear") is not None
    return integer if fact.role == "between" else pools and fact.role == "pool" and not integer


def _channels(facts: list[Fact]) -> int:
    writer = next(fact.node for fact in facts if fact.role == "writer")
    filters = None if writer is None else _filters(writer)
    assert filters is not None
    return filters[0]


def _widen(graph: ir.Graph, fact: Fact, more: int) -> None:
    """Let a layer write and read so many more channels: zeros, with the scale of the channel before."""
    fact.value.shape = None
    if fact.node is None or fact.role not in ("writer", "reader", "between"):
        return
    if fact.role == "reader":
        _pad(graph, fact.node, 1, 1, more)
        return
    for index in range(1, len(fact.node.inputs)):
        _pad(graph, fact.node, index, 0, more)
    if fact.role == "between":
        fact.node.attributes["group"] = ir.AttrInt64("group", fact.node.attributes.get_int("group", 1) + more)


def _pad(
    graph: ir.Graph, user: ir.Node, index: int, axis: int, more: int, by: Literal["constant", "edge"] = "constant"
) -> None:
    """Append so many entries along an axis of a constant that a node reads, or of those that it is computed from."""
    value = user.inputs[index]
    storing, held = producer(value, *STORING), constant(value)
    if storing is not None and held is None:
        _pad(graph, storing, 0, axis, more)
        # Scales and zero points lie along one axis of a DequantizeLinear, and are as the weight is for a Mul.
        along = axis if storing.op_type == "Mul" else 0 if storing.attributes.get_int("axis", 1) == axis else None
        for other in range(1, len(storing.inputs) if along is not None else 1):
            _pad(graph, storing, other, along or 0, more, "edge")
    elif value is not None and held is not None and held.ndim > axis and (by == "constant" or held.shape[axis] > 1):
        widths = [(0, more if each == axis else 0) for each in range(held.ndim)]
        user.replace_input_with(index, initializer(graph, str(value.name), np.pad(held, widths, mode=by)))
