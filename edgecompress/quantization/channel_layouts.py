"""Which channels values may have in a quantized graph, so that kernels find whole blocks of them.

Values that operators by channel read and write have the same channels. What a convolution or a Gather writes may have
more, where all that comes of it is read by convolutions and Gathers; a Concat passes them on to where they then lie.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import onnx_ir as ir
from scipy.cluster.hierarchy import DisjointSet

from edgecompress.arrays import Array
from edgecompress.exporters.graph import constant, producer

BLOCK = 16
"""Channels that the kernels work on at once: bytes in 128 bits, floats in 512."""
LEAST_LEFT = 4
"""Channels left over of a block below which nothing is lost: one takes as long as a block."""
NEW = -1
"""In a layout, a channel that was not there."""
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

Role = Literal["writer", "reader", "between", "gathered", "gathers", "whole", "pool", "unknown"]
Layout = tuple[int, ...]
"""For each channel that a value has now, the one that it was, or ``NEW``."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What a node says of the channels of a value.

    Attributes:
        value: it says so of.
        node: it is; None for the graph, whose inputs and outputs have the channels that callers know.
        role: a convolution that writes the channels, one that reads them, one that works by channel; a Gather that
            writes, or reads them; a Concat that writes them; a pool; or one that nothing is known about. None where
            it only says that two values have the same.
        same: another value, which has the same channels.
    """

    value: ir.Value
    node: ir.Node | None = None
    role: Role | None = None
    same: ir.Value | None = None


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A Concat: which class of values it writes, and which it reads."""

    whole: ir.Value
    parts: tuple[ir.Value, ...]


def channel_layouts(graph: ir.Graph, *, pools: bool) -> list[tuple[Fact, Layout]]:
    """What nodes have to be rewritten for other channels, and the layouts of these.

    Args:
        graph: quantized.
        pools: whether float pools gain by whole blocks.
    """
    facts, sets = list(_facts_of(graph)), DisjointSet()
    for fact in facts:
        for value in (fact.value, *_parts(fact), *(() if fact.same is None else (fact.same,))):
            sets.add(value)
        if fact.same is not None:
            sets.merge(fact.value, fact.same)
    classes: dict[ir.Value, list[Fact]] = defaultdict(list)
    for fact in facts:
        classes[sets[fact.value]].append(fact)
    joined = [
        Joined(whole=sets[fact.value], parts=tuple(sets[part] for part in _parts(fact)))
        for fact in facts
        if fact.role == "whole"
    ]
    counts = _counts(classes, joined)
    fixed = {each for each, known in classes.items() if _is_fixed(known)}
    chosen = {
        each: (*range(counts[each]), *(NEW,) * (-counts[each] % BLOCK))
        for each, known in classes.items()
        if each in counts and counts[each] % BLOCK >= LEAST_LEFT and _gain(known, pools=pools)
    }
    layouts = _settled(chosen, joined, counts, fixed)
    return [(fact, layouts[sets[fact.value]]) for fact in facts if sets[fact.value] in layouts]


def _is_fixed(known: Sequence[Fact]) -> bool:
    """Whether values keep their channels: a node is not known, or counts differ, as where a channel is broadcast."""
    told = {count for fact in known if (count := _count(fact)) is not None}
    return len(told) > 1 or any(fact.role == "unknown" for fact in known)


def _counts(classes: Mapping[ir.Value, Sequence[Fact]], joined: Sequence[Joined]) -> dict[ir.Value, int]:
    """The number of channels of each class of values, where a layer or a Concat tells."""
    told = {each: next(filter(None, map(_count, known)), None) for each, known in classes.items()}
    counts = {each: count for each, count in told.items() if count is not None}
    for concat in joined:  # in the order of the graph
        if all(part in counts for part in concat.parts):
            counts.setdefault(concat.whole, sum(counts[part] for part in concat.parts))
    return counts


def _settled(
    chosen: Mapping[ir.Value, Layout], joined: Sequence[Joined], counts: Mapping[ir.Value, int], fixed: set[ir.Value]
) -> dict[ir.Value, Layout]:
    """The layouts with which every Concat writes what its parts have; what cannot be passed on stays as it was."""
    while True:
        layouts = {each: layout for each, layout in chosen.items() if each not in fixed}
        for concat in [*joined] * len(joined):  # what a later one writes may be what an earlier one reads
            if any(part in layouts for part in concat.parts) and all(part in counts for part in concat.parts):
                layouts[concat.whole] = _whole(concat, layouts, counts)
        wrong = [concat for concat in joined if not _agrees(concat, layouts, counts, fixed)]
        again = {each for concat in wrong for each in (concat.whole, *concat.parts) if each in layouts} - fixed
        if not wrong:
            return layouts
        if not again:
            return {}
        fixed = fixed | again


def _whole(concat: Joined, layouts: Mapping[ir.Value, Layout], counts: Mapping[ir.Value, int]) -> Layout:
    """The layout of what a Concat writes."""
    sizes = [counts[part] for part in concat.parts]
    parts = [layouts.get(part, tuple(range(counts[part]))) for part in concat.parts]
    starts = accumulate(sizes, initial=0)
    return tuple(
        channel if channel == NEW else start + channel
        for start, part in zip(starts, parts, strict=False)
        for channel in part
    )


def _agrees(
    concat: Joined, layouts: Mapping[ir.Value, Layout], counts: Mapping[ir.Value, int], fixed: set[ir.Value]
) -> bool:
    """Whether a Concat writes what its readers expect."""
    if not any(part in layouts for part in concat.parts):
        return concat.whole not in layouts
    known = all(part in counts for part in concat.parts)
    return known and concat.whole not in fixed and layouts.get(concat.whole) == _whole(concat, layouts, counts)


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
    elif node.op_type == "Gather" and indices_of(node) is not None:
        yield Fact(value=output, node=node, role="gathered")
        yield Fact(value=source, node=node, role="gathers")
    elif node.op_type == "Concat" and node.attributes.get_int("axis", 0) == 1:
        yield Fact(value=output, node=node, role="whole")
    elif node.op_type in BY_CHANNEL and all(map(_is_number, node.inputs[1:])):
        yield Fact(value=output, node=node, role="pool" if node.op_type in POOLS else None, same=source)
    elif node.op_type in ELEMENTWISE and all(map(_is_computed, node.inputs)):
        for value in node.inputs:
            yield Fact(value=output, node=node, same=value)
    else:
        yield from _unknown(node)


def _unknown(node: ir.Node) -> Iterator[Fact]:
    for value in (*node.inputs, *node.outputs):
        if value is not None:
            yield Fact(value=value, node=node, role="unknown")


def _parts(fact: Fact) -> list[ir.Value]:
    """What a Concat reads; nothing for other facts."""
    return (
        [] if fact.role != "whole" or fact.node is None else [value for value in fact.node.inputs if value is not None]
    )


def _is_plain(conv: ir.Node) -> bool:
    return conv.attributes.get_int("group", 1) == 1 and _filters(conv) is not None


def _is_by_channel(conv: ir.Node) -> bool:
    filters = _filters(conv)
    return filters is not None and filters[:2] == (conv.attributes.get_int("group", 1), 1)


def _is_computed(value: ir.Value | None) -> bool:
    """Whether a value is no constant, or a single number, as floats or as integers."""
    stored = producer(value, "DequantizeLinear")
    held = constant(value if stored is None else stored.inputs[0])
    return held is None or held.size == 1


def _is_number(value: ir.Value | None) -> bool:
    held = constant(value)
    return value is None or (held is not None and held.size == 1)


def _filters(conv: ir.Node) -> tuple[int, ...] | None:
    """The shape of the filters, (outputs, inputs of a group, *sizes); None where they, or biases, are not stored."""
    weight, *rest = [_stored(value) for value in conv.inputs[1:]]
    return None if weight is None or any(bias is None for bias in rest) else weight.shape


def _stored(value: ir.Value | None) -> Array | None:
    """The numbers that a layer reads, as floats, or as the integers that only it makes floats of."""
    storing = producer(value, *STORING)
    if storing is None or constant(value) is not None:
        return constant(value)
    factors = [constant(each) for each in storing.inputs[1:]]
    held = _stored(storing.inputs[0])
    if value is None or len(value.uses()) > 1 or held is None:
        return None
    if storing.op_type == "Mul":
        scales = producer(storing.inputs[0], "Cast") is not None
        return held if scales and all(each is not None and each.ndim == held.ndim for each in factors) else None
    return held if all(each is not None for each in factors) else None


def indices_of(gather: ir.Node) -> list[int] | None:
    """The channels that a Gather chooses; None where it chooses along another axis, or they are computed."""
    held = constant(gather.inputs[1])
    of_channels = held is not None and held.ndim == 1 and gather.attributes.get_int("axis", 0) == 1
    return [int(index) for index in held] if held is not None and of_channels and (held >= 0).all() else None


def _gain(known: Sequence[Fact], *, pools: bool) -> bool:
    """Whether values are written channel by channel, and a kernel among those between is slow at what is left over."""
    roles = {fact.role for fact in known}
    chosen = roles & {"writer", "gathered"} and "whole" not in roles
    return bool(chosen) and any(_is_slow(fact, pools=pools) for fact in known)


def _is_slow(fact: Fact, *, pools: bool) -> bool:
    """Whether a fact is that of an integer convolution by channel, or of a float pool."""
    integer = fact.node is not None and producer(fact.node.inputs[0], "DequantizeLinear") is not None
    return integer if fact.role == "between" else pools and fact.role == "pool" and not integer


def _count(fact: Fact) -> int | None:
    """How many channels a value has, as its node tells."""
    filters = _filters(fact.node) if fact.node is not None and fact.node.op_type == "Conv" else None
    if filters is not None:
        return filters[1] if fact.role == "reader" else filters[0]
    if fact.role == "gathered" and fact.node is not None:
        return len(indices_of(fact.node) or [])
    return None
