"""Multiply-accumulates of an ONNX graph, operator by operator, from the shapes that its inputs give it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import onnx
import onnx_ir as ir

from edgecompress.arrays import Inputs

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
    return {str(node.name): _count(node) for node in _shaped(model, inputs).graph}


def _count(node: ir.Node) -> int | None:
    formula = FORMULAS.get(node.op_type)
    if formula is None:
        return None if node.domain not in ("", "ai.onnx") or node.op_type in UNCOUNTED else 0
    try:
        return formula(node, [_shape(value) for value in node.inputs], _shape(node.outputs[0]))
    except _UnknownShapeError:
        return None


def _shaped(model: ir.Model, inputs: Inputs) -> ir.Model:
    """A copy in which all shapes follow from those of the inputs."""
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
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(copy), data_prop=True))


def _size(declared: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | ir.SymbolicDim:
    return declared if isinstance(declared, int) else sizes.get(str(declared.value), declared)


def _shape(value: ir.Value | None) -> Shape | None:
    if value is None or value.shape is None or not all(isinstance(size, int) for size in value.shape):
        return None
    return tuple(int(size) for size in value.shape.numpy())


class _UnknownShapeError(Exception):
    """A formula needs a shape that is not known."""


def _known(shape: Shape | None) -> Shape:
    if shape is None:
        raise _UnknownShapeError
    return shape
