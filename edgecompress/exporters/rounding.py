"""AdaRound: each weight is rounded up or down by what that does to the layer's output.

Rounding to the nearest integer is the best choice for each weight alone, not for their sum (Nagel et
al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization"). Their problem, a quadratic
one over binary choices for each output channel, dW E[x x^T] dW^T, is solved here by coordinate descent
on the moments of the inputs: exact steps, the same every time, and some hundred times cheaper than
their relaxation by gradient descent. What the rounding does to the mean is left to the bias, where there
is one, so that the covariance takes the place of E[x x^T].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.calibration import QuantParams
from edgecompress.data import Batches
from edgecompress.exporters.graph import replace_constant
from edgecompress.exporters.lowering import Lowering
from edgecompress.exporters.moments import Moments, input_moments
from edgecompress.exporters.rules import RULES
from edgecompress.exporters.weights import constant_bias, constant_weight
from edgecompress.progress import Progress

SWEEPS = 3
"""Passes over the weights of a layer; a fourth flips next to none."""
LARGEST_COLUMN = 5000
"""Weights of one output channel above which a layer keeps its rounding: the matrix grows with the square."""

LARGEST_CODE = 127
"""The largest int8."""

Floats = NDArray[np.float32]


def round_adaptively(lowering: Lowering, batches: Batches, progress: Progress) -> Lowering:
    """A lowering whose weights lie on their integer grid, rounded for the outputs of their layers.

    Args:
        lowering: not modified.
        batches: calibration data.
        progress: told of every batch and every layer.
    """
    layers = [str(node.name) for node in lowering.model.graph if _is_roundable(node, lowering)]
    moments = input_moments(lowering.floats, layers, batches, progress)
    model = lowering.model.clone()
    nodes = [node for node in model.graph if node.name in moments]
    for node in progress.track(nodes, "round"):
        _round_layer(model.graph, node, lowering.weights[str(node.name)], moments.pop(str(node.name)))
    return replace(lowering, model=model)


def _is_roundable(node: ir.Node, lowering: Lowering) -> bool:
    """Whether a layer multiplies columns of inputs by a constant weight, not too large for its moments."""
    weight = constant_weight(node) if node.name in lowering.weights else None
    if weight is None or weight.ndim != (4 if node.op_type == "Conv" else 2):
        return False
    padded_by_hand = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    return padded_by_hand and _rows(node, weight).shape[1] <= LARGEST_COLUMN


def _round_layer(graph: ir.Graph, node: ir.Node, params: QuantParams, moments: Moments) -> None:
    weight = constant_weight(node)
    assert weight is not None
    matrix, scale = _rows(node, weight), _rows(node, _full_scale(params, weight))
    bias = _bias(node, len(matrix))
    objective = moments.shrink(moments.second / np.float32(moments.count) if bias is None else moments.covariance)
    groups = len(objective)
    rounded = np.concatenate(
        [
            best_rounding(w, s, h)
            for w, s, h in zip(np.split(matrix, groups), np.split(scale, groups), objective, strict=True)
        ]
    )
    replace_constant(graph, node, 1, _unrows(node, rounded, weight))
    if bias is not None:
        means = np.repeat(moments.mean, len(matrix) // groups, axis=0)
        replace_constant(graph, node, 2, (bias + ((matrix - rounded) * means).sum(axis=1)).astype(np.float32))


def best_rounding(weight: Floats, scale: Floats, objective: Floats) -> Floats:
    """Weights on the grid that cost the least (dw H dw^T) that coordinate descent finds.

    Args:
        weight: (channels, k).
        scale: of the same shape; the distance of two integers.
        objective: H, symmetric and positive semidefinite, (k, k).

    Returns:
        (channels, k), every entry ``scale`` times an integer, at most one step away from ``weight``. No row
        costs more than rounding to the nearest integer does.
    """
    down = np.floor(weight / scale)
    limit = np.clip(np.abs(np.rint(weight / scale)).max(axis=1, keepdims=True), 1, LARGEST_CODE)
    up = ((np.rint(weight / scale) > down) & (down + 1 <= limit)).astype(np.float32)
    error = ((down + up) * scale - weight).T.copy()
    slope = objective @ error
    curvature, steps = np.diagonal(objective), scale.T
    free = ((down >= -limit) & (down + 1 <= limit)).T
    state = up.T.copy()
    for _ in range(SWEEPS):
        flips = 0
        for k in range(len(objective)):
            change = np.where(state[k] > 0, -steps[k], steps[k])
            gain = change * (2 * slope[k] + change * curvature[k])
            chosen = np.flatnonzero((gain < 0) & free[k])
            if chosen.size:
                slope[:, chosen] += np.outer(objective[:, k], change[chosen])
                state[k, chosen] = 1 - state[k, chosen]
                flips += chosen.size
        if not flips:
            break
    return np.asarray((down + state.T) * scale, np.float32)


def _rows(node: ir.Node, array: Floats) -> Floats:
    """A weight with one row for each output channel."""
    if node.op_type == "Conv":
        return array.reshape(len(array), -1)
    return array if _has_rows(node) else np.ascontiguousarray(array.T)


def _unrows(node: ir.Node, rows: Floats, like: Floats) -> Floats:
    if node.op_type == "Conv":
        return rows.reshape(like.shape)
    return rows if _has_rows(node) else np.ascontiguousarray(rows.T)


def _has_rows(node: ir.Node) -> bool:
    return node.op_type == "Gemm" and bool(node.attributes.get_int("transB"))


def _full_scale(params: QuantParams, weight: Floats) -> Floats:
    """The scale of every entry of a weight."""
    shape = [-1 if axis == params.axis else 1 for axis in range(weight.ndim)]
    return np.broadcast_to(params.scale.reshape(shape if params.axis is not None else [1]), weight.shape).copy()


def _bias(node: ir.Node, channels: int) -> Floats | None:
    """The bias of a layer, zeros where it has room for one, or None."""
    if RULES[node.op_type].bias is None:
        return None
    bias = constant_bias(node)
    return np.zeros(channels, np.float32) if bias is None else bias
