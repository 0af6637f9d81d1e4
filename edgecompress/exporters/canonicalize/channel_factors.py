"""Factors and offsets for each channel behind a convolution join its weight and bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray

from edgecompress.exporters.graph import constant, is_float, only_read_by, producer, replace_constant, take_over
from edgecompress.step import StepResult


def fold_channel_factors(model: ir.Model) -> StepResult[ir.Model]:
    """Fold Mul, Div, Add and Sub by a constant for each channel into the Conv that they stand behind.

    A batch norm that an exporter wrote as a product and a sum is one; by themselves, each of them rounds its output.
    """
    folded = model.clone()
    changes: list[str] = []
    for reader in list(folded.graph):
        conv = _convolution(reader)
        values = None if conv is None else _for_each_channel(reader, conv)
        if conv is not None and values is not None:
            _fold(folded.graph, conv, reader, values)
            changes.append(f"{reader.name}: {reader.op_type} became part of {conv.name}")
    passes.RemoveUnusedNodesPass()(folded)
    return StepResult(model=folded, changes=tuple(changes))


def _convolution(reader: ir.Node) -> ir.Node | None:
    """The Conv with constants of its own that only this operator reads."""
    if reader.op_type not in ("Add", "Div", "Mul", "Sub") or reader.domain not in ("", "ai.onnx"):
        return None
    first = reader.inputs if reader.op_type in ("Add", "Mul") else reader.inputs[:1]
    conv = next((made for value in first if (made := producer(value, "Conv")) is not None), None)
    if conv is None or not only_read_by(conv.outputs[0], reader) or not is_float(conv.outputs[0]):
        return None
    fixed = all(value is None or constant(value) is not None for value in conv.inputs[1:])
    scales, weight = reader.op_type in ("Div", "Mul"), conv.inputs[1]
    own = weight is not None and (not scales or only_read_by(weight, conv))
    return conv if fixed and own else None


def _for_each_channel(reader: ir.Node, conv: ir.Node) -> NDArray[Any] | None:
    """The other operand in float64, of shape (channels,); None where it is something else."""
    arrays = [array for value in reader.inputs if (array := constant(value)) is not None]
    weight = constant(conv.inputs[1])
    if len(arrays) != 1 or weight is None or arrays[0].ndim > weight.ndim:
        return None
    (values,) = arrays
    whole = values.reshape([1] * (weight.ndim - values.ndim) + list(values.shape))
    channels = len(weight)
    if values.size != whole.shape[1] or whole.shape[1] not in (1, channels) or not np.isfinite(values).all():
        return None
    if reader.op_type == "Div" and not values.all():
        return None
    return np.broadcast_to(values.reshape(-1).astype(np.float64), channels)


def _fold(graph: ir.Graph, conv: ir.Node, reader: ir.Node, values: NDArray[Any]) -> None:
    """Both results are float32, as they were."""
    weight, bias = (constant(value) for value in [*conv.inputs, None][1:3])
    assert weight is not None
    offset = np.zeros(len(weight)) if bias is None else bias.astype(np.float64)
    if reader.op_type in ("Add", "Sub"):
        replace_constant(graph, conv, 2, (offset + (values if reader.op_type == "Add" else -values)).astype(np.float32))
    else:
        factors = values if reader.op_type == "Mul" else 1 / values
        scaled = weight * factors.reshape(-1, *[1] * (weight.ndim - 1))
        replace_constant(graph, conv, 1, scaled.astype(np.float32))
        if bias is not None:
            replace_constant(graph, conv, 2, (offset * factors).astype(np.float32))
    take_over(graph, conv.outputs[0], reader)
