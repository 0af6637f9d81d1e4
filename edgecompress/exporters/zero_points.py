"""Zero points of weights are made when the file is loaded: all of them are zeros, one for each output channel.

ONNX Runtime finds no integer kernel for weights that have scales for each channel and no zero points, and in its exact
mode on x86 (``session.x64quantprecision``) it refuses zero points that layers share. So one row of zeros is split into
a part for each weight, which runtimes fold. In a network of thin layers they are more than one percent of the file.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecompress.exporters.short_names import free_names_of, graphs_of

LEAST_SHARE = 0.01
"""Share of the file below which zero points stay constants."""
LEAST_BYTES = 256
"""Zero points that take no more room than what makes them stay constants, too."""
SPLITS_BY_SIZES = 13
"""The opset from which on a Split is told the sizes of its parts by an input."""


def make_zero_points(proto: onnx.ModelProto) -> None:
    """Split the zero points of int8 weights from one row of zeros, where they take at least ``LEAST_SHARE`` of a file.

    Args:
        proto: changed in place; branches and loop bodies stay as they are.
    """
    graph, rows = proto.graph, _rows_of_zeros(proto.graph)
    saved = sum(row.dims[0] for row in rows)
    if saved < max(LEAST_BYTES, LEAST_SHARE * proto.ByteSize()) or not _splits_by_sizes(proto):
        return
    names = {row.name for row in rows}
    kept = [tensor for tensor in graph.initializer if tensor.name not in names]
    made, constants = _zeros(rows, free_names_of(proto))
    nodes = [*made, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *constants])
    graph.node.extend(nodes)


def _splits_by_sizes(proto: onnx.ModelProto) -> bool:
    return any(opset.domain in ("", "ai.onnx") and opset.version >= SPLITS_BY_SIZES for opset in proto.opset_import)


def _zeros(rows: Sequence[TensorProto], free: Iterator[str]) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """The nodes that write the rows, and the constants that these read."""
    sizes, (whole, parts, zeros) = [row.dims[0] for row in rows], itertools.islice(free, 3)
    nodes = [
        helper.make_node("ConstantOfShape", [whole], [zeros], value=helper.make_tensor("", TensorProto.INT8, [1], [0])),
        helper.make_node("Split", [zeros, parts], [row.name for row in rows]),
    ]
    constants = [
        helper.make_tensor(whole, TensorProto.INT64, [1], [sum(sizes)]),
        helper.make_tensor(parts, TensorProto.INT64, [len(sizes)], sizes),
    ]
    return nodes, constants


def _rows_of_zeros(graph: onnx.GraphProto) -> list[TensorProto]:
    """The constants that are read once, as the zero points of an int8 weight, and are zeros."""
    reads = Counter(name for inner in graphs_of(graph) for node in inner.node for name in node.input)
    weights = {node.input[2] for node in graph.node if node.op_type == "DequantizeLinear" and len(node.input) > 2}
    declared = {value.name for value in (*graph.input, *graph.output)}
    return [
        tensor
        for tensor in graph.initializer
        if tensor.name in weights - declared and reads[tensor.name] == 1 and _is_row_of_zeros(tensor)
    ]


def _is_row_of_zeros(tensor: TensorProto) -> bool:
    of_int8 = tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 1
    return of_int8 and not numpy_helper.to_array(tensor).any()
