"""Constants that are equal are stored once.

A weight that several layers read is written as integers for each of them. They cannot simply share it: in its exact
mode on x86 (``session.x64quantprecision``) ONNX Runtime makes a uint8 twin of each int8 constant, and refuses a file in
which two operators read the same one. So the copies are made when the file is loaded: a Concat of the constant with
itself, split into one part for each reader, which runtimes fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from edgecompress.exporters.graph import node, producer

LEAST_SAVED_BYTES = 512
"""Bytes saved below which the two nodes take more room than the copies."""


def store_once(model: ir.Model) -> ir.Model:
    """A copy of a quantized model in which no constant is stored twice, except the zero points of int8."""
    stored = model.clone()
    for values in list(_equal(stored.graph)):
        if values[0].dtype is not ir.DataType.INT8:
            for value in values[1:]:
                value.replace_all_uses_with(values[0])
                del stored.graph.initializers[str(value.name)]
        elif _saved_bytes(values) >= LEAST_SAVED_BYTES and all(map(_is_weight, values)):
            _spread(stored.graph, values)
    return stored


def stored_constant(value: ir.Value) -> ir.Value:
    """The constant of the file that a value is a copy of, or the value itself."""
    split = producer(value, "Split")
    joined = None if split is None else producer(split.inputs[0], "Concat")
    first = None if joined is None else joined.inputs[0]
    whole = first is not None and joined is not None and all(source is first for source in joined.inputs)
    return first if whole and first is not None and ir.convenience.get_const_tensor(first) is not None else value


def _equal(graph: ir.Graph) -> Iterator[list[ir.Value]]:
    """Groups of constants with the same bytes, in the order of the graph."""
    groups: dict[tuple[object, ...], list[ir.Value]] = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and not value.is_graph_input() and not value.is_graph_output():
            key = (tensor.dtype, tuple(tensor.shape.numpy()), tensor.tobytes())
            groups.setdefault(key, []).append(value)
    return (values for values in groups.values() if len(values) > 1)


def _saved_bytes(values: Sequence[ir.Value]) -> int:
    tensor = values[0].const_value
    return 0 if tensor is None else tensor.nbytes * (len(values) - 1)


def _is_weight(value: ir.Value) -> bool:
    """Whether all that reads a value makes floats of it; a zero point is read by the same operators."""
    return all(user.op_type == "DequantizeLinear" and index == 0 for user, index in value.uses())


def _spread(graph: ir.Graph, values: Sequence[ir.Value]) -> None:
    """Let the readers of equal constants read parts of copies of the first."""
    first, count = values[0], len(values)
    copies = node("Concat", [first] * count, f"{first.name}/copies", f"{first.name}/copies", axis=0)
    attributes = {"num_outputs": count} if graph.opset_imports.get("", 0) >= 18 else {}
    split = ir.node("Split", [copies.outputs[0]], attributes, num_outputs=count, name=f"{first.name}/split")
    for value, part in zip(values, split.outputs, strict=True):
        part.name = f"{value.name}/copy"
        for user, index in list(value.uses()):
            if user is not copies:
                user.replace_input_with(index, part)
    graph.insert_before(graph[0], [copies, split])
    for value in values[1:]:
        del graph.initializers[str(value.name)]
