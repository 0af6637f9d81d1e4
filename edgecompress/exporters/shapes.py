"""Shapes of all values of a graph, as they follow from those of its inputs."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from edgecompress.arrays import Inputs

PAIRS = ("QuantizeLinear", "DequantizeLinear")


def with_sizes(model: ir.Model, inputs: Inputs) -> ir.Model:
    """A copy in which all shapes follow from those of the inputs.

    Args:
        model: not modified.
        inputs: by name; their shapes are read.
    """
    copy = model.clone()
    sizes: dict[str, int] = {}
    for value in copy.graph.inputs:
        if value.name in inputs:
            given = inputs[str(value.name)].shape
            names = [None if isinstance(declared, int) else declared.value for declared in value.shape or ()]
            sizes |= {name: size for name, size in zip(names, given, strict=False) if name}
            value.shape = ir.Shape(given)
    for node in copy.graph:
        for value in node.outputs:
            # Of an operator that the inference does not know, what the file says is all there is.
            said = None if node.domain in ("", "ai.onnx") else value.shape
            value.shape = None if said is None else ir.Shape([_size(size, sizes) for size in said])
    return with_shapes(copy)


def with_shapes(model: ir.Model) -> ir.Model:
    """A copy with the shapes that follow from those that a model declares.

    Args:
        model: not modified.
    """
    proto = ir.to_proto(model)
    foreign = [index for index, node in enumerate(proto.graph.node) if node.domain and node.op_type in PAIRS]
    domains = {index: proto.graph.node[index].domain for index in foreign}
    for index in foreign:  # ONNX Runtime's pairs of uint16 have the shapes of ONNX's own
        proto.graph.node[index].domain = ""
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    for index, domain in domains.items():
        inferred.graph.node[index].domain = domain
    return ir.from_proto(inferred)


def known_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of a value, where every size of it is known."""
    if value is None or value.shape is None or not all(isinstance(size, int) for size in value.shape):
        return None
    return tuple(int(size) for size in value.shape.numpy())


def _size(declared: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | ir.SymbolicDim:
    return declared if isinstance(declared, int) else sizes.get(str(declared.value), declared)
