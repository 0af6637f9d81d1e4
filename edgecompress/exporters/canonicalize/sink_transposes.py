"""Transposes to channels-last move behind what works on each element, where they meet their inverses."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.canonicalize.merge_transposes import merge_transposes, permutation
from edgecompress.exporters.graph import axes_of, constant, initializer, node, producer, substitute
from edgecompress.step import StepResult

BROADCASTING = ("Add", "Div", "Max", "Min", "Mul", "Pow", "PRelu", "Sub")
"""Operators that take all of their inputs element by element."""
ELEMENTWISE = (
    *("Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Neg"),
    *("Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
)
"""Those that take the first."""
ALONG_AXIS = ("Concat", "LogSoftmax", "Softmax")
REDUCING = ("ReduceMax", "ReduceMean", "ReduceSum")
FLATTENING_OPSET = 12
"""Up to this opset, Softmax takes all axes from its own on for one."""


def sink_transposes(model: ir.Model) -> StepResult[ir.Model]:
    """Let operators read what stands before a Transpose from (N, C, ...) to (N, ..., C), and transpose their output.

    Keras and TensorFlow hold channels last, and their exporters write a Transpose before and behind each convolution.
    Between them, neither a factor and an offset for each channel nor an activation can join the convolution. The model
    stays as it is where more Transposes than before would be left.
    """
    moved = model.clone()
    names = [str(reader.name) for reader in list(moved.graph) if _sink(moved.graph, reader)]
    passes.RemoveUnusedNodesPass()(moved)
    result = merge_transposes(moved).model
    if not names or _count(result) > _count(model):
        return StepResult(model=model)
    return StepResult(model=result, changes=tuple(f"{name}: works before a Transpose" for name in names))


def _count(model: ir.Model) -> int:
    return sum(each.op_type == "Transpose" for each in model.graph)


def _sink(graph: ir.Graph, reader: ir.Node) -> bool:
    """Let one operator read what stands before Transposes; False where it cannot."""
    order = _order(reader)
    axes = None if order is None else _axes(graph, reader, order)
    if order is None or axes is None:
        return False
    inputs = [_before(graph, reader, value, order) for value in _elements(reader)]
    inputs += reader.inputs[len(inputs) :]
    made = ir.node(reader.op_type, inputs, reader.attributes, name=reader.name)
    _set_axes(graph, made, axes)
    output = reader.outputs[0]
    if reader.op_type in REDUCING and not reader.attributes.get_int("keepdims", 1):
        made.outputs[0].name = output.name
        substitute(graph, reader, [made])
        return True
    made.outputs[0].name, made.outputs[0].type = f"{output.name}/moved", output.type
    if output.shape is not None:
        made.outputs[0].shape = ir.Shape([output.shape[axis] for axis in np.argsort(order).tolist()])
    last = node("Transpose", [made.outputs[0]], "", f"{reader.name}/moved", perm=order)
    substitute(graph, reader, [made, last])
    return True


def _elements(reader: ir.Node) -> list[ir.Value | None]:
    """The inputs that hold elements; the others are limits, or axes."""
    several = reader.op_type in (*BROADCASTING, "Concat")
    return list(reader.inputs if several else reader.inputs[:1])


def _order(reader: ir.Node) -> list[int] | None:
    """The permutation to channels-last that all elements have gone through that are no constants; None for others."""
    if reader.domain not in ("", "ai.onnx") or len(reader.outputs) != 1:
        return None
    if reader.op_type not in (*BROADCASTING, *ELEMENTWISE, *ALONG_AXIS, *REDUCING):
        return None
    orders = set()
    for value in _elements(reader):
        transpose = producer(value, "Transpose")
        array = constant(value)
        if transpose is not None:
            orders.add(tuple(permutation(transpose)))
        elif array is None:
            return None
    (order,) = orders if len(orders) == 1 else ((),)
    rank = len(order)
    fits = all(array.ndim <= rank for value in _elements(reader) if (array := constant(value)) is not None)
    return list(order) if rank > 3 and fits and order == (0, *range(2, rank), 1) else None


def _axes(graph: ir.Graph, reader: ir.Node, order: list[int]) -> list[int] | None:
    """The operator's own axes before the Transpose; none where it has no such axes, None where it cannot move."""
    if reader.op_type in ALONG_AXIS:
        flattens = reader.op_type != "Concat" and graph.opset_imports.get("", 0) <= FLATTENING_OPSET
        return None if flattens else [order[reader.attributes.get_int("axis", -1)]]
    if reader.op_type not in REDUCING:
        return []
    axes = [order[axis] for axis in axes_of(reader)]
    kept = [axis for axis in order if axis not in axes]
    in_order = bool(reader.attributes.get_int("keepdims", 1)) or kept == sorted(kept)
    return axes if axes and in_order else None


def _set_axes(graph: ir.Graph, made: ir.Node, axes: list[int]) -> None:
    if made.op_type in ALONG_AXIS:
        made.attributes["axis"] = ir.AttrInt64("axis", axes[0])
    elif axes and "axes" in made.attributes:
        made.attributes["axes"] = ir.AttrInt64s("axes", axes)
    elif axes:
        made.replace_input_with(1, initializer(graph, f"{made.name}_axes", np.array(axes, np.int64)))


def _before(graph: ir.Graph, reader: ir.Node, value: ir.Value | None, order: list[int]) -> ir.Value | None:
    """What a Transpose reads; a constant with its axes in that order."""
    transpose, array = producer(value, "Transpose"), constant(value)
    if transpose is not None:
        return transpose.inputs[0]
    assert array is not None
    if array.size == 1 and reader.op_type != "Concat":
        return value
    whole = array.reshape([1] * (len(order) - array.ndim) + list(array.shape))
    return initializer(graph, f"{reader.name}/operand", whole.transpose(np.argsort(order)))
