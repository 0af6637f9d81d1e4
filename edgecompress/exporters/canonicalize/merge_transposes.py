"""Transposes that the exporter writes in three steps, or one after the other, become one."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.graph import bypass, producer, substitute, take_over
from edgecompress.step import StepResult


def merge_transposes(model: ir.Model) -> StepResult[ir.Model]:
    """Write (Reshape, Transpose, Reshape) that swaps the last two axes, and pairs of Transpose, as one Transpose.

    PyTorch's attention is exported with keys that are flattened to three axes, transposed, and given
    their four axes back. One Transpose moves the same values once.
    """
    merged = model.clone()
    changes: list[str] = []
    for node in list(merged.graph):
        order = _swap(node) if node.op_type == "Reshape" else None
        if order is not None:
            swapped = _producers(node)[1]
            source = swapped.inputs[0]
            _replace(merged.graph, node, source, order)
            changes.append(f"{node.name}: Reshape, Transpose, Reshape became one Transpose")
    for node in list(merged.graph):
        inner = producer(node.inputs[0], "Transpose") if node.op_type == "Transpose" else None
        if inner is not None:
            outer, first = permutation(node), permutation(inner)
            _replace(merged.graph, node, inner.inputs[0], [first[axis] for axis in outer])
            changes.append(f"{node.name}: two Transpose became one")
    passes.RemoveUnusedNodesPass()(merged)
    return StepResult(model=merged, changes=tuple(changes))


def _replace(graph: ir.Graph, node: ir.Node, source: ir.Value | None, order: list[int]) -> None:
    """Write a Transpose of ``source`` in the place of a node, or none where it would change nothing."""
    assert source is not None
    if order == sorted(order) and _skip(graph, node, source):
        return
    made = ir.node("Transpose", [source], {"perm": order}, name=node.name)
    substitute(graph, node, [made])
    if source.shape is not None:
        made.outputs[0].shape = ir.Shape([source.shape[axis] for axis in order])


def _skip(graph: ir.Graph, node: ir.Node, source: ir.Value) -> bool:
    """Drop a node that writes what it reads; False where both are inputs or outputs of the graph."""
    if bypass(graph, node, source):
        return True
    is_inner = source.producer() is not None and not source.is_graph_output()
    if is_inner:
        take_over(graph, source, node)
    return is_inner


def _producers(last: ir.Node) -> tuple[ir.Node, ir.Node]:
    """The Transpose and the first Reshape before the last Reshape."""
    transpose = producer(last.inputs[0], "Transpose")
    assert transpose is not None
    first = producer(transpose.inputs[0], "Reshape")
    assert first is not None
    return transpose, first


def _swap(last: ir.Node) -> list[int] | None:
    """The permutation that the three nodes before and with ``last`` amount to, where they swap the last two axes.

    All have as many elements, so that the first axis, which may be dynamic, is equal where all others are.
    """
    transpose = producer(last.inputs[0], "Transpose")
    first = producer(transpose.inputs[0], "Reshape") if transpose is not None else None
    if transpose is None or first is None or permutation(transpose) != [0, 2, 1]:
        return None
    before, flat, after = (_dimensions(value) for value in (first.inputs[0], first.outputs[0], last.outputs[0]))
    if len(before) < 3 or len(flat) != 3 or len(after) != len(before) or None in before[1:]:
        return None
    if flat[1:] != before[-2:] or after[1:] != [*before[1:-2], before[-1], before[-2]]:
        return None
    axes = list(range(len(before)))
    return [*axes[:-2], axes[-1], axes[-2]]


def _dimensions(value: ir.Value | None) -> list[int | None]:
    """Axis lengths, None for a dynamic one; empty where the rank is unknown."""
    shape = None if value is None else value.shape
    return [] if shape is None else [size if isinstance(size, int) else None for size in shape]


def permutation(transpose: ir.Node) -> list[int]:
    """Which axis of its input each axis of a Transpose's output is."""
    if "perm" in transpose.attributes:
        return list(transpose.attributes["perm"].as_ints())
    return list(reversed(range(len(_dimensions(transpose.inputs[0])))))
