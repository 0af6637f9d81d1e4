"""The time of single operators in ONNX Runtime at any width, from a few widths that were timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from torch import fx

from edgecompress.pruning.structure.analysis import Structure
from edgecompress.pruning.structure.channel_labels import Labelled
from edgecompress.pruning.structure.rules.call import bind, operator_name
from edgecompress.timing.clock import Clock

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The widths that are timed, as shares of the whole, on each of the two axes of a weight."""
WEIGHT = 0.01


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A convolution or a linear layer: what decides its time, apart from the widths.

    Attributes:
        source: shape of its input, batch size as captured.
        weight: shape of its weight as ONNX takes it: (outputs, inputs / groups, *kernel), or (inputs, outputs).
        kind: the ONNX operator.
        settings: attributes of a convolution.
    """

    source: tuple[int, ...]
    weight: tuple[int, ...]
    kind: str
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def depthwise(self) -> bool:
        """Whether every group reads one channel, so that inputs and outputs shrink together."""
        groups: int = dict(self.settings).get("group", 1)
        return groups > 1 and self.weight[1] == 1


Times = Mapping[Operator, Callable[[int, int], float]]
"""Milliseconds of an operator by the number of its input and output channels."""


def operator_of(structure: Structure, node: fx.Node) -> Operator | None:
    """The operator of a node, where its time depends on the widths of a weight."""
    name = operator_name(node)
    if name not in ("linear", "conv1d", "conv2d", "conv3d"):
        return None
    source, weight = (structure.values[operand][0].shape for operand in node.all_input_nodes[:2])
    if name == "linear":
        return Operator(source=source, weight=weight[::-1], kind="MatMul")
    call = bind(node, {operand: Labelled(structure.values[operand][0].shape) for operand in node.all_input_nodes})
    padding = call["padding"]
    pads = ("auto_pad", "SAME_UPPER") if padding == "same" else ("pads", (0, 0) * len(call["stride"]))
    if not isinstance(padding, str):
        pads = ("pads", (*padding, *padding))
    settings = (
        ("strides", tuple(call["stride"])),
        ("dilations", tuple(call["dilation"])),
        ("group", call["groups"]),
        pads,
    )
    return Operator(source=source, weight=weight, kind="Conv", settings=settings)


def time_operators(operators: Sequence[Operator], clock: Clock) -> Times:
    """Time each distinct operator at some widths, all in one request; between them, time is interpolated."""
    grids = {operator: _grid(operator) for operator in dict.fromkeys(operators)}
    widths = {operator: _widths(operator, *grid) for operator, grid in grids.items()}
    times = iter(clock.operators(single(operator, *pair) for operator, pairs in widths.items() for pair in pairs))
    found = {operator: np.array([next(times) for _ in pairs]) for operator, pairs in widths.items()}
    return {operator: _interpolated(operator, *grids[operator], measured) for operator, measured in found.items()}


def _grid(operator: Operator) -> tuple[list[int], list[int]]:
    """The numbers of input and of output channels that are timed."""
    inputs, outputs = ([max(round(count * share), 1) for share in SHARES] for count in _channels(operator))
    return sorted({*inputs}), sorted({*outputs})


def _widths(operator: Operator, rows: list[int], columns: list[int]) -> list[tuple[int, int]]:
    inputs, outputs = _channels(operator)
    if operator.depthwise:
        return [(width, width * outputs // inputs) for width in rows]
    return list(product(rows, columns))


def _interpolated(
    operator: Operator, rows: list[int], columns: list[int], times: NDArray[np.float64]
) -> Callable[[int, int], float]:
    if operator.depthwise:
        return lambda width, _: float(_along([rows], times, [width]))
    grid = times.reshape(len(rows), len(columns))
    return lambda width, height: float(_along([rows, columns], grid, [width, height]))


def _along(axes: list[list[int]], times: NDArray[np.float64], point: list[int]) -> float:
    used = [index for index, axis in enumerate(axes) if len(axis) > 1]
    if not used:
        return float(times.item())
    squeezed = times.reshape([len(axes[index]) for index in used])
    find = RegularGridInterpolator([axes[index] for index in used], squeezed, bounds_error=False, fill_value=None)
    return max(float(find([point[index] for index in used]).item()), 0.0)


def _channels(operator: Operator) -> tuple[int, int]:
    groups: int = dict(operator.settings).get("group", 1)
    if operator.kind == "MatMul":
        return operator.weight[0], operator.weight[1]
    return operator.weight[1] * groups, operator.weight[0]


def single(operator: Operator, inputs: int, outputs: int) -> ir.Model:
    """A graph with only that operator, at these widths; its weights are equal, so that many files pack into little."""
    settings = dict(operator.settings)
    if operator.kind == "MatMul":
        shape: tuple[int, ...] = (*operator.source[:-1], inputs)
        kernel: tuple[int, ...] = (inputs, outputs)
    else:
        axis = len(operator.source) - len(operator.weight) + 1
        shape = (*operator.source[:axis], inputs, *operator.source[axis + 1 :])
        if operator.depthwise:
            settings["group"] = inputs
        elif settings["group"] > 1:  # groups keep their number; the nearest width that they can have
            groups = settings["group"]
            inputs, outputs = max(inputs // groups, 1) * groups, max(outputs // groups, 1) * groups
            shape = (*operator.source[:axis], inputs, *operator.source[axis + 1 :])
        kernel = (outputs, inputs // settings["group"], *operator.weight[2:])
    source = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
    array = np.full(kernel, WEIGHT, np.float32)
    weight = ir.Value(name="w", const_value=ir.tensor(array, name="w"))
    attributes = ir.convenience.convert_attributes(settings)
    node = ir.Node("", operator.kind, [source, weight], attributes, num_outputs=1)
    node.outputs[0].name, node.outputs[0].type = "y", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph([source], node.outputs, nodes=[node], initializers=[weight], opset_imports={"": 20}, name="one")
    return ir.Model(graph, ir_version=10)
