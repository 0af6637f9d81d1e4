"""The few words in which the passes of this folder speak of an ONNX graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """The array that a value holds, or None where it is computed."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def source_of(node: ir.Node) -> ir.Value:
    """The first input of a node that has one."""
    source = node.inputs[0]
    assert source is not None
    return source


def initializer(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    """A constant of the graph under ``name``, or under the next free ``name.1`` where something else has it."""
    fixed = {value.name for value in (*graph.inputs, *graph.outputs)}
    names = itertools.chain([name], (f"{name}.{count}" for count in itertools.count(1)))
    for free in names:
        known = graph.initializers.get(free)
        if known is None and free not in fixed:
            break
        if known is not None and _holds(known, array):
            return known
    tensor = ir.tensor(np.asarray(array, order="C"), name=free)
    value = ir.val(free, dtype=tensor.dtype, shape=list(array.shape), const_value=tensor)
    graph.register_initializer(value)
    return value


def _holds(known: ir.Value, array: NDArray[Any]) -> bool:
    held = constant(known)
    return held is not None and held.dtype == array.dtype and np.array_equal(held, array)


def reduced(graph: ir.Graph, op_type: str, layer: ir.Node, rank: int, name: str) -> ir.Value:
    """ReduceMean or ReduceMax of a layer's float32 output over all axes but the channels, right behind the layer.

    Axes are an attribute before opset 18, an input after it.
    """
    axes, source = [axis for axis in range(rank) if axis != 1], layer.outputs[0]
    if graph.opset_imports.get("", 18) < 18:
        made = node(op_type, [source], name, name, axes=axes, keepdims=0)
    else:
        given = initializer(graph, f"{name}_axes", np.array(axes, np.int64))
        made = node(op_type, [source, given], name, name, keepdims=0)
    made.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph.insert_after(layer, made)
    return made.outputs[0]


def axes_of(reducing: ir.Node) -> list[int]:
    """The axes of a node, which are an attribute or a constant input by opset; none where it has none of its own."""
    if "axes" in reducing.attributes:
        return list(reducing.attributes["axes"].as_ints())
    values = constant(reducing.inputs[1]) if len(reducing.inputs) > 1 else None
    return [] if values is None else [int(axis) for axis in values.reshape(-1)]


def insert_after(graph: ir.Graph, anchor: ir.Node | None, nodes: Sequence[ir.Node]) -> None:
    """Put ``nodes`` right after ``anchor``, or first of all for None."""
    if anchor is not None:
        graph.insert_after(anchor, nodes)
    elif len(graph):
        graph.insert_before(graph[0], nodes)
    else:
        graph.extend(nodes)


def node(op_type: str, inputs: Sequence[ir.Value | None], output: str, name: str, **attributes: Any) -> ir.Node:
    """A node of the default domain with one output of that name."""
    made = ir.node(op_type, inputs, attributes or None, name=name)
    made.outputs[0].name = output
    return made


def is_float(value: ir.Value | None) -> bool:
    """Whether a value is known to be float32."""
    return value is not None and value.dtype is ir.DataType.FLOAT


def producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that computes a value, where it is one of those operators."""
    made_by = None if value is None else value.producer()
    known = made_by is not None and made_by.domain in ("", "ai.onnx") and made_by.op_type in op_types
    return made_by if known else None


def only_read_by(value: ir.Value, reader: ir.Node) -> bool:
    """Whether nobody else sees a value: no other node, and no caller of the model."""
    return not value.is_graph_output() and all(user is reader for user, _ in value.uses())


def bypass(graph: ir.Graph, skipped: ir.Node, value: ir.Value) -> bool:
    """Let every reader of a node with one output read ``value``, and drop the node.

    Returns:
        False, and nothing is changed, where the output is one of the graph's.
    """
    output = skipped.outputs[0]
    if output.is_graph_output():
        return False
    output.replace_all_uses_with(value)
    graph.remove(skipped, safe=True)
    return True


def take_over(graph: ir.Graph, value: ir.Value, skipped: ir.Node) -> None:
    """Let ``value`` of a node of the graph stand for the output of a node with one, under its name; drop the node."""
    output = skipped.outputs[0]
    value.name, value.shape = output.name, output.shape
    output.replace_all_uses_with(value, replace_graph_outputs=True)
    graph.remove(skipped, safe=True)


def substitute(graph: ir.Graph, old: ir.Node, made: Sequence[ir.Node]) -> None:
    """Put nodes in the place of one; the last writes what it wrote, under the same names."""
    graph.insert_after(old, made)
    for before, after in zip(old.outputs, made[-1].outputs, strict=True):
        after.name, after.shape, after.type = before.name, before.shape, before.type
        before.replace_all_uses_with(after, replace_graph_outputs=True)
    graph.remove(old, safe=True)


def replace_constant(graph: ir.Graph, current: ir.Node, index: int, array: NDArray[Any]) -> None:
    """Give a node its own constant in place of its input ``index``, which other nodes may share."""
    name = f"{current.name}/{('input', 'weight', 'bias')[index]}"
    if index >= len(current.inputs):
        current.resize_inputs(index + 1)
    current.replace_input_with(index, initializer(graph, name, array))


def external_tensors(model: ir.Model) -> Iterator[ir.ExternalTensor]:
    """Every tensor whose values lie in another file, in subgraphs and functions too."""
    graphs = [model.graph, *model.graph.subgraphs()]
    nodes = [
        *model.graph.all_nodes(),
        *(node for function in model.functions.values() for node in function.all_nodes()),
    ]
    tensors = [value.const_value for graph in graphs for value in graph.initializers.values()]
    for node in nodes:
        for attribute in node.attributes.values():
            if attribute.type is ir.AttributeType.TENSOR:
                tensors.append(attribute.as_tensor())
            elif attribute.type is ir.AttributeType.TENSORS:
                tensors.extend(attribute.as_tensors())
    return (tensor for tensor in tensors if isinstance(tensor, ir.ExternalTensor))
