"""The precision of each node as the file says it: integers where DequantizeLinear and QuantizeLinear enclose it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from edgecompress.quantization.qdq_pairs import DEQUANTIZE, QUANTIZE

TYPES = {
    onnx.TensorProto.UINT8: "u8",
    onnx.TensorProto.INT8: "i8",
    onnx.TensorProto.UINT16: "u16",
    onnx.TensorProto.INT16: "i16",
}


def precisions_of(path: Path) -> dict[str, str]:
    """For each node of the main graph, by name, the type of the integers that it reads; empty where it is in floats.

    A node is in integers where DequantizeLinear makes each of its inputs that is no constant, and only QuantizeLinear
    reads its outputs; what moves integers themselves is, too.
    """
    graph = onnx.load(path, load_external_data=False).graph
    made = {output: node for node in graph.node for output in node.output}
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    types: dict[str, str] = {each.name: TYPES.get(each.data_type, "") for each in graph.initializer}
    types |= {each.name: TYPES.get(each.type.tensor_type.elem_type, "") for each in graph.input}
    found = {}
    for node in graph.node:
        kind = _type_of(node, types)
        types |= dict.fromkeys(node.output, kind)
        if node.op_type not in (QUANTIZE, DEQUANTIZE):
            inputs = [made[name] for name in node.input if name in made]
            read = [reader for output in node.output for reader in readers.get(output, [])]
            enclosed = all(each.op_type == DEQUANTIZE for each in inputs) and {*read} == {QUANTIZE}
            first = node.input[0] if node.input else ""
            inside = types.get(made[first].input[0], "") if first in made and enclosed else ""
            found[node.name] = inside or kind
    return found


def _type_of(node: onnx.NodeProto, types: Mapping[str, str]) -> str:
    """The type of the integers that a node gives; empty of all others."""
    if node.op_type == DEQUANTIZE or not node.input:
        return _constant(node)
    if node.op_type == QUANTIZE:
        zero_point = node.input[2] if len(node.input) > 2 else ""
        return types.get(zero_point, "") or "u8"
    if node.op_type == "ConstantOfShape":
        return _constant(node)
    return types.get(node.input[0], "")


def _constant(node: onnx.NodeProto) -> str:
    value = next((each.t for each in node.attribute if each.name == "value"), None)
    return "" if value is None else TYPES.get(value.data_type, "")
