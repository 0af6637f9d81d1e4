"""Short names: what only the file itself refers to is called by one or two letters.

In a small quantized network the names of inner values are a quarter of the file. Inputs and outputs keep their names,
since callers use them, and so do nodes, by which reports and recipes know the layers; those that only convert numbers
(QuantizeLinear, DequantizeLinear) or constants, which runtimes fold, stand in no report and have none.
"""

from __future__ import annotations

import itertools
import string
from collections import Counter
from collections.abc import Iterator

import onnx

LETTERS = string.ascii_letters
CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")


def shorten_names(proto: onnx.ModelProto) -> None:
    """Rename the inner values of a model, in branches and loop bodies too; what it computes stays as it is.

    Different names stay different, so that whatever was one value before is one afterwards. No value is called as a
    node is, since ONNX Runtime's profiler names kernels after either. Functions of the model are scopes of their own,
    and are left alone.

    Args:
        proto: changed in place.
    """
    graphs = list(graphs_of(proto.graph))
    fixed = {value.name for value in (*proto.graph.input, *proto.graph.output)} | {""}
    for graph in graphs:
        _drop_names_of_conversions(graph)
    free = _names_without(fixed | {node.name for graph in graphs for node in graph.node})
    said = Counter(name for graph in graphs for name in _values_of(graph))
    inner = sorted(said.keys() - fixed, key=lambda name: (-said[name], name))
    names = {**{name: name for name in fixed}, **dict(zip(inner, free, strict=False))}
    for graph in graphs:
        _rename(graph, names)


def free_names_of(proto: onnx.ModelProto) -> Iterator[str]:
    """Short names that no value and no node of a model has."""
    graphs = list(graphs_of(proto.graph))
    nodes = {node.name for graph in graphs for node in graph.node}
    return _names_without(nodes.union(*map(_values_of, graphs)))


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph, and those of the branches and loop bodies in it."""
    yield graph
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
            yield from graphs_of(inner)


def _drop_names_of_conversions(graph: onnx.GraphProto) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        of_constants = bool(node.input) and constants.issuperset(node.input)
        if of_constants:
            constants.update(node.output)
        if node.domain in ("", "ai.onnx") and (of_constants or node.op_type in CONVERSIONS):
            node.ClearField("name")


def _names_without(taken: set[str]) -> Iterator[str]:
    """The names a, b, ..., Z, aa, ab, ... without those that are taken."""
    lengths = itertools.count(1)
    letters = (name for length in lengths for name in itertools.product(LETTERS, repeat=length))
    return (name for name in map("".join, letters) if name not in taken)


def _values_of(graph: onnx.GraphProto) -> Iterator[str]:
    """The names of the values that a graph declares or refers to, in the order of the file."""
    for node in graph.node:
        yield from node.input
        yield from node.output
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)
    yield from (value.name for value in (*graph.input, *graph.output, *graph.value_info))
    for annotation in graph.quantization_annotation:
        yield annotation.tensor_name
        yield from (entry.value for entry in annotation.quant_parameter_tensor_names)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for named in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        named.name = names[named.name]
    for tensor in graph.sparse_initializer:
        tensor.values.name = names[tensor.values.name]
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names[annotation.tensor_name]
        for entry in annotation.quant_parameter_tensor_names:
            entry.value = names[entry.value]
