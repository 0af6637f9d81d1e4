"""The factor 1 / sqrt(d) of attention moves into the weights of the projection that it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray

from edgecompress.exporters.graph import bypass, constant, initializer, only_read_by
from edgecompress.step import StepResult

LAYOUT = ("Transpose", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True, kw_only=True)
class _Site:
    """Place for the factor: ``columns`` of a product's weight, and of the bias behind it."""

    product: ir.Node
    columns: slice
    bias: ir.Node | None
    bias_columns: slice


def fold_attention_scales(model: ir.Model) -> StepResult[ir.Model]:
    """Multiply weights and biases by a constant factor that follows them, and drop the Mul.

    Between the product and the factor may lie a bias, a Split of the last axis (q, k and v computed at
    once), and operators that only move values.
    """
    folded = model.clone()
    changes: list[str] = []
    for node in list(folded.graph):
        factor, source = _factor(node)
        if source is None or not (site := _find(source, node)):
            continue
        if bypass(folded.graph, node, source):
            _scale(folded.graph, site, factor)
            changes.append(f"{node.name}: the factor {factor:.4g} moved into the weights of {site.product.name}")
    passes.RemoveUnusedNodesPass()(folded)
    return StepResult(model=folded, changes=tuple(changes))


def _factor(node: ir.Node) -> tuple[float, ir.Value | None]:
    """A Mul or Div by a scalar as a factor and the value that it multiplies."""
    if node.op_type not in ("Mul", "Div") or node.domain not in ("", "ai.onnx"):
        return 1.0, None
    for source, other in ((node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])):
        array = constant(other)
        if array is not None and array.size == 1 and constant(source) is None and array.ndim <= _rank(source):
            number = float(array.item())
            if node.op_type == "Mul":
                return number, source
            return (1 / number, source) if other is node.inputs[1] and number else (1.0, None)
    return 1.0, None


def _find(value: ir.Value, reader: ir.Node) -> _Site | None:
    """The matrix product that a value comes from, where nobody else reads anything on the way."""
    columns = bias_columns = slice(None)
    bias = None
    is_whole = True  # behind a Split or a bias, the last axis must stay the columns of the weight
    while only_read_by(value, reader) and (node := value.producer()) is not None:
        if node.op_type in ("MatMul", "Gemm"):
            site = _Site(product=node, columns=columns, bias=bias, bias_columns=bias_columns)
            return site if _has_plain_weight(node) else None
        source = node.inputs[0]
        if node.op_type == "Split" and columns == slice(None) and (found := _columns(node, value)) is not None:
            columns, is_whole = found, False
        elif node.op_type == "Add" and bias is None and (biased := _biased(node)) is not None:
            bias, bias_columns, source, is_whole = node, columns, biased, False
        elif node.op_type not in LAYOUT or not is_whole:
            return None
        assert source is not None
        # The other parts of a Split have readers of their own; only this part's columns change.
        value, reader = source, node
    return None


def _columns(split: ir.Node, part: ir.Value) -> slice | None:
    """First and last column of a part of the last axis."""
    source, sizes = split.inputs[0], constant(split.inputs[1]) if len(split.inputs) > 1 else None
    if source is None or source.shape is None or sizes is None:
        return None
    if split.attributes.get_int("axis", 0) % len(source.shape) != len(source.shape) - 1:
        return None
    ends = np.cumsum(sizes)
    index = list(split.outputs).index(part)
    return slice(int(ends[index] - sizes[index]), int(ends[index]))


def _biased(add: ir.Node) -> ir.Value | None:
    """The value to which an Add adds a constant vector."""
    for source, other in ((add.inputs[0], add.inputs[1]), (add.inputs[1], add.inputs[0])):
        array = constant(other)
        if array is not None and array.ndim == 1 and constant(source) is None and _width(source) == len(array):
            return source
    return None


def _has_plain_weight(product: ir.Node) -> bool:
    weight = constant(product.inputs[1])
    if weight is None or weight.ndim != 2:
        return False
    if len(product.inputs) < 3 or product.inputs[2] is None:
        return True
    bias, width = constant(product.inputs[2]), _width(product.outputs[0])
    return bias is not None and bias.shape == (width,)


def _rank(value: ir.Value | None) -> int:
    """The number of axes, 0 where it is not known."""
    return 0 if value is None or value.shape is None else len(value.shape)


def _width(value: ir.Value | None) -> int | None:
    """The length of the last axis, where it is known."""
    size = value.shape[-1] if value is not None and value.shape is not None and len(value.shape) else None
    return size if isinstance(size, int) else None


def _scale(graph: ir.Graph, site: _Site, factor: float) -> None:
    product, columns = site.product, site.columns
    rows_first = product.op_type == "Gemm" and product.attributes.get_int("transB", 0) == 1
    index = (columns, slice(None)) if rows_first else (slice(None), columns)
    _replace(graph, product, 1, index, factor)
    if len(product.inputs) > 2 and product.inputs[2] is not None:
        _replace(graph, product, 2, (..., columns), factor)
    if site.bias is not None:
        position = next(i for i, value in enumerate(site.bias.inputs) if constant(value) is not None)
        _replace(graph, site.bias, position, site.bias_columns, factor)


def _replace(graph: ir.Graph, node: ir.Node, position: int, index: Any, factor: float) -> None:
    """A constant input with some of its values multiplied; the constant itself may have other readers."""
    old = node.inputs[position]
    array: NDArray[Any] | None = constant(old)
    assert array is not None
    scaled = array.copy()
    scaled[index] *= np.asarray(factor, array.dtype)
    node.replace_input_with(position, initializer(graph, f"{old.name}/scaled", scaled))  # type: ignore[union-attr]
