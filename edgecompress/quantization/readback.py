"""The scales in the file, held against those that were decided on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.calibration import QuantParams
from edgecompress.errors import OUR_FAULT, EdgecompressError
from edgecompress.exporters.graph import constant
from edgecompress.quantization.lowering import Lowering, passed_on
from edgecompress.quantization.placement import activations
from edgecompress.quantization.qdq import INT32_LIMIT
from edgecompress.quantization.qdq_pairs import codes_name, floats_name
from edgecompress.quantization.weights import constant_weight, summed_bias

PAIR = ("QuantizeLinear", "DequantizeLinear")
HALF = 0.501
"""Share of a step that rounding may move a weight by, with the error of float32."""
HEAVY = INT32_LIMIT / 2
"""Integers of a bias for whose sake the step of its weights was widened, and more."""


def require_decided(model: ir.Model, lowering: Lowering) -> None:
    """Read back every activation's scale and zero point, and every weight.

    Args:
        model: what the lowering wrote.
        lowering: what was decided.

    Raises:
        EdgecompressError: a scale, a zero point or a weight is another one.
    """
    values = {name: value for value in _values(lowering.model.graph) for name in _pair_names(value)}
    weights = {floats_name(f"{node.name}/weight"): node for node in lowering.model.graph}
    for node in model.graph:
        name = str(node.name)
        if node.op_type in PAIR and name in values and not _holds(node, passed_on(values[name], lowering.params)):
            raise EdgecompressError(f"{node.op_type} {name!r} has another scale than was decided; {OUR_FAULT}")
        layer = weights.get(name) if node.op_type == "DequantizeLinear" else None
        if layer is not None and not (_rounded(node, layer, lowering) and _as_fine(node, layer, lowering)):
            raise EdgecompressError(f"the integers of {name!r} stand for another weight; {OUR_FAULT}")


def _pair_names(value: ir.Value) -> tuple[str, str]:
    """What the two nodes of a value's pair are called, where it has one."""
    return codes_name(str(value.name)), floats_name(str(value.name))


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    for node in graph:
        yield from node.outputs


def _holds(node: ir.Node, params: QuantParams | None) -> bool:
    scale, zero = _constants(node)
    return params is not None and bool(np.all(scale == params.scale) and np.all(zero == params.zero_point))


def _rounded(dequantize: ir.Node, layer: ir.Node, lowering: Lowering) -> bool:
    """Whether the integers of a weight are the nearest of its grid to what it was; a float layer has none."""
    codes, weight = constant(dequantize.inputs[0]), constant_weight(layer)
    if codes is None or weight is None:
        return True
    scale, zero = _constants(dequantize)
    axis = dequantize.attributes.get_int("axis", 1) if scale.ndim else None
    params = QuantParams(scale=scale, zero_point=zero, axis=axis)
    low, high = lowering.weights[str(layer.name)].ends
    if codes.min(initial=low) < low or codes.max(initial=high) > high:
        return False
    return bool((np.abs(params.dequantize(codes) - weight) <= HALF * params.spread(scale, weight.ndim)).all())


def _as_fine(dequantize: ir.Node, layer: ir.Node, lowering: Lowering) -> bool:
    """Whether no step is coarser than was decided, except where a heavy bias would leave INT32."""
    scale, decided = _constants(dequantize)[0], lowering.weights[str(layer.name)].scale
    source, bias = passed_on(activations(layer)[0], lowering.params), summed_bias(layer)
    if source is None or bias is None:
        return bool(np.all(scale <= decided))
    heavy = np.abs(bias.astype(np.float64)) >= HEAVY * float(source.scale) * scale
    return bool(np.all((scale <= decided) | (heavy if scale.ndim else heavy.any())))


def _constants(node: ir.Node) -> tuple[NDArray[Any], NDArray[Any]]:
    scale, zero = (constant(value) for value in node.inputs[1:3])
    assert scale is not None
    assert zero is not None
    return scale, zero
