"""Softmax over channels, computed where the channels lie last.

ONNX Runtime turns the axis of a Softmax to the last place and back, value by value, and where several axes follow, that
takes many times as long as the Softmax. Its kernel for a Transpose moves whole blocks.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import initializer, node, substitute
from edgecompress.step import StepResult

KINDS = ("LogSoftmax", "Softmax")
FIRST_OPSET = 13
"""Before it, a Softmax takes all axes from its own on for one."""


def turn_softmax(model: ir.Model) -> StepResult[ir.Model]:
    """Let every Softmax over an axis that two or more follow work on rows that hold nothing but that axis.

    A Reshape stands between the Softmax and each Transpose, or ONNX Runtime's optimizer would take both back. The same
    values are added in the same order: the outputs are equal in every bit. A Softmax stays where its shape has more
    than one dynamic dimension, since the way back could not be written.
    """
    turned = model.clone()
    changes: list[str] = []
    if turned.graph.opset_imports.get("", 0) >= FIRST_OPSET:
        for each in list(turned.graph):
            if each.op_type in KINDS and each.domain in ("", "ai.onnx") and (order := _order(each)) is not None:
                _turn(turned.graph, each, order)
                changes.append(f"{each.name}: {each.op_type} works on rows")
    return StepResult(model=turned, changes=tuple(changes))


def _order(softmax: ir.Node) -> list[int] | None:
    """The axes with that of the Softmax last; None where it is left as it is."""
    shape = softmax.outputs[0].shape
    if shape is None:
        return None
    axis = softmax.attributes.get_int("axis", -1) % len(shape)
    later = [size for size in shape[axis + 1 :] if size != 1]
    dynamic = sum(not isinstance(size, int) for size in shape)
    if len(later) < 2 or dynamic > 1 or not isinstance(shape[axis], int):
        return None
    return [place for place in range(len(shape)) if place != axis] + [axis]


def _turn(graph: ir.Graph, softmax: ir.Node, order: list[int]) -> None:
    shape, name = softmax.outputs[0].shape, str(softmax.name)
    assert shape is not None  # its axes were put into an order
    sizes = [size if isinstance(size, int) else -1 for size in (shape[place] for place in order)]
    rows = initializer(graph, f"{name}/rows", np.array([-1, sizes[-1]], np.int64))
    whole = initializer(graph, f"{name}/shape", np.array(sizes, np.int64))
    moved = node("Transpose", [softmax.inputs[0]], f"{name}/moved", f"{name}/moved", perm=order)
    flat = node("Reshape", [moved.outputs[0], rows], f"{name}/flat", f"{name}/flat")
    inner = node(softmax.op_type, [flat.outputs[0]], f"{name}/row", name, axis=-1)
    back = node("Reshape", [inner.outputs[0], whole], f"{name}/ordered", f"{name}/ordered")
    last = ir.node("Transpose", [back.outputs[0]], {"perm": np.argsort(order).tolist()}, name=f"{name}/whole")
    substitute(graph, softmax, [moved, flat, inner, back, last])
