"""The biases of q, k and v, added after the Split of one product, are added before it at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.exporters.graph import bypass, constant, initializer, node, only_read_by, producer
from edgecompress.step import StepResult


def hoist_biases(model: ir.Model) -> StepResult[ir.Model]:
    """Write MatMul, Split, and an Add of a constant vector on the parts as MatMul, one Add, Split.

    A simplifier that merges the projections of attention into one product leaves their biases behind;
    a part without one gets zeros.
    """
    hoisted = model.clone()
    changes: list[str] = []
    for split in list(hoisted.graph):
        product = producer(split.inputs[0], "MatMul") if split.op_type == "Split" else None
        if product is None or not only_read_by(product.outputs[0], split):
            continue
        additions = [_addition(part) for part in split.outputs]
        vector = _joined(split, additions)
        if vector is not None and sum(addition is not None for addition in additions) > 1:
            _hoist(hoisted.graph, split, [addition for addition in additions if addition is not None], vector)
            changes.append(f"{split.name}: the biases behind it became one before it")
    return StepResult(model=hoisted, changes=tuple(changes))


def _addition(part: ir.Value) -> ir.Node | None:
    """The only reader of a part, where it adds a constant vector and is no output of the graph."""
    readers = [user for user, _ in part.uses()]
    if len(readers) != 1 or part.is_graph_output() or readers[0].op_type != "Add":
        return None
    (add,) = readers
    vector = _vector(add)
    return add if vector is not None and not add.outputs[0].is_graph_output() else None


def _vector(add: ir.Node) -> NDArray[Any] | None:
    arrays = [array for value in add.inputs if (array := constant(value)) is not None]
    return arrays[0] if len(arrays) == 1 and arrays[0].ndim == 1 else None


def _joined(split: ir.Node, additions: list[ir.Node | None]) -> NDArray[Any] | None:
    """The vectors behind one another, in the order of the parts; None where they do not fill them."""
    source, sizes = split.inputs[0], constant(split.inputs[1]) if len(split.inputs) > 1 else None
    if sizes is None or source is None or source.shape is None or source.dtype is None:
        return None
    if split.attributes.get_int("axis", 0) % len(source.shape) != len(source.shape) - 1:
        return None
    parts = []
    for size, addition in zip(sizes, additions, strict=True):
        vector = np.zeros(size, source.dtype.numpy()) if addition is None else _vector(addition)
        if vector is None or vector.shape != (size,):
            return None
        parts.append(vector)
    return np.concatenate(parts)


def _hoist(graph: ir.Graph, split: ir.Node, additions: list[ir.Node], vector: NDArray[Any]) -> None:
    source = split.inputs[0]
    assert source is not None
    bias = initializer(graph, f"{split.name}/bias", vector)
    add = node("Add", [source, bias], f"{split.name}/biased", f"{split.name}/bias")
    add.outputs[0].shape, add.outputs[0].type = source.shape, source.type
    graph.insert_before(split, add)
    split.replace_input_with(0, add.outputs[0])
    for addition in additions:
        part = next(value for value in addition.inputs if value is not None and constant(value) is None)
        bypass(graph, addition, part)
