"""Multiply-accumulates of an ONNX graph, operator by operator, from the shapes that its inputs give it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.exporters.shapes import known_shape, with_sizes

Shape = tuple[int, ...]

Formula = Callable[[ir.Node, Sequence[Shape | None], Shape | None], int]
"""Formula for a node, from the shapes of its inputs and of its first output; raises where a needed shape is missing."""


def _convolution(weight: int) -> Formula:
    return lambda _, inputs, output: math.prod(_known(output)) * math.prod(_known(inputs[weight])[1:])


def _transposed(_node: ir.Node, inputs: Sequence[Shape | None], _output: Shape | None) -> int:
    return math.prod(_known(inputs[0])) * math.prod(_known(inputs[1])[1:])


def _product(_node: ir.Node, inputs: Sequence[Shape | None], output: Shape | None) -> int:
    return math.prod(_known(output)) * _known(inputs[0])[-1]


def _gemm(node: ir.Node, inputs: Sequence[Shape | None], output: Shape | None) -> int:
    return math.prod(_known(output)) * _known(inputs[0])[0 if node.attributes.get_int("transA", 0) else -1]


def _recurrent(_node: ir.Node, inputs: Sequence[Shape | None], _output: Shape | None) -> int:
    """Each step of each sequence goes through the weights of its input and of its state once."""
    steps, batch, _ = _known(inputs[0])
    return steps * batch * (math.prod(_known(inputs[1])) + math.prod(_known(inputs[2])))


FORMULAS: dict[str, Formula] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "Gemm": _gemm,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "DynamicQuantizeLSTM": _recurrent,
}
UNCOUNTED = ("Attention", "DeformConv", "Einsum", "If", "Loop", "Scan")
"""Operators that multiply, and whose work these formulas do not tell."""


def count_macs(model: ir.Model, inputs: Inputs) -> dict[str, int | None]:
    """Multiply-accumulates of each node of the main graph, by its name.

    Convolutions, matrix products and recurrent layers count; sums, activations and norms are 0, as in
    :func:`edgecompress.pruning.counts.count_macs`. None where they could not be counted: the shapes cannot be inferred,
    or the operator is of another domain than ONNX's own.

    Args:
        model: not modified.
        inputs: by name; their shapes are read.
    """
    return {str(node.name): _count(node) for node in with_sizes(model, inputs).graph}


def _count(node: ir.Node) -> int | None:
    formula = FORMULAS.get(node.op_type)
    if formula is None:
        return None if node.domain not in ("", "ai.onnx") or node.op_type in UNCOUNTED else 0
    try:
        return formula(node, [known_shape(value) for value in node.inputs], known_shape(node.outputs[0]))
    except _UnknownShapeError:
        return None


class _UnknownShapeError(Exception):
    """A formula needs a shape that is not known."""


def _known(shape: Shape | None) -> Shape:
    if shape is None:
        raise _UnknownShapeError
    return shape
