"""The parts of a network that may be integer, with their times as integers and as floats, from two profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.exporters.shapes import known_shape
from edgecompress.quantization.crossing_price import CrossingPrice
from edgecompress.quantization.kernel_forms import for_kernels
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.minimum_cut import Crossing, Times
from edgecompress.quantization.operators import RULES
from edgecompress.runtime import to_bytes
from edgecompress.timing.profiling import node_times, own_time

OUTSIDE = ""
"""The part of all that is float whatever is chosen: no node has this name."""


def parts_of(lowering: Lowering, sample: Inputs, threads: int) -> tuple[dict[str, str], dict[str, Times]]:
    """The part of each node that may be integer, and the times of each part, by name.

    ONNX Runtime fuses an operator with its neighbours, and the time of all is told under the name of one. So a node
    without a time in a profile is of one part with the neighbour that has it.
    """
    files = (to_bytes(model) for model in (lowering.floats, for_kernels(lowering.write(), small=lowering.stores_all)))
    real, integer = (node_times(file, sample, threads=threads) for file in files)
    nodes = {str(node.name): node for node in lowering.floats.graph if node.name in movable(lowering)}
    part = {name: name for name in nodes}
    for name, node in nodes.items():
        # As floats a convolution counts under the name of its activation; as integers the activation vanishes.
        for told, neighbours in (
            (real, (*_reader(node), *_writers(node))),
            (integer, (*_writers(node), *_reader(node))),
        ):
            if own_time(node, told) is None:
                other = next((near for near in neighbours if near in nodes and own_time(nodes[near], told)), name)
                _join(part, name, other)
    times: dict[str, Times] = {}
    for name, node in nodes.items():
        before = times.get(part[name], Times(integer=0.0, real=0.0))
        spent = Times(integer=own_time(node, integer) or 0.0, real=own_time(node, real) or 0.0)
        times[part[name]] = Times(integer=before.integer + spent.integer, real=before.real + spent.real)
    return part, times


def movable(lowering: Lowering) -> frozenset[str]:
    """Names of the nodes that may be integer: those placed, and the activations that vanish in a pair."""
    return frozenset((*lowering.placement.placed, *lowering.placement.folded))


def crossings_of(model: ir.Model, part: Mapping[str, str], price: CrossingPrice) -> Iterator[Crossing]:
    """The values between parts, and what each costs where one side of it is integer and the other float.

    Args:
        model: float, with the sizes of all values at the batch that runs.
        part: the part of each node that may be integer.
        price: of a value that crosses.
    """
    values = [*model.graph.inputs, *(output for node in model.graph for output in node.outputs)]
    for value in values:
        writer = value.producer()
        from_part = OUTSIDE if writer is None else part.get(str(writer.name), OUTSIDE)
        readers = {part.get(str(reader.name), OUTSIDE) for reader, _ in value.uses()}
        if value.is_graph_output():
            readers.add(OUTSIDE)
        if readers - {from_part}:
            cost = price.of(prod(known_shape(value) or ()))
            writes_floats = writer is not None and writer.op_type in RULES and RULES[writer.op_type].float_output
            yield Crossing(
                writer=from_part,
                readers=tuple(sorted(readers)),
                quantize=cost,
                dequantize=0.0 if writes_floats else cost,
            )


def _reader(node: ir.Node) -> tuple[str, ...]:
    """Who reads what a node writes, where that is a single node."""
    readers = {str(reader.name) for output in node.outputs for reader, _ in output.uses()}
    return tuple(readers) if len(readers) == 1 else ()


def _writers(node: ir.Node) -> tuple[str, ...]:
    """Who writes what a node reads."""
    writers = [None if value is None else value.producer() for value in node.inputs]
    return tuple(str(writer.name) for writer in writers if writer is not None)


def _join(part: dict[str, str], name: str, other: str) -> None:
    """Make the parts of two nodes one."""
    before, after = part[name], part[other]
    part.update({each: after for each, known in part.items() if known == before})
