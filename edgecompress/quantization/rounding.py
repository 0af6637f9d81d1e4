"""AdaRound: each weight is rounded up or down by what that does to the layer's output.

Rounding to the nearest integer is the best choice for each single weight, not for their sum (Nagel et
al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization"). Their problem, a quadratic
one over binary choices for each output channel, is solved here by coordinate descent on the moments of the
inputs: exact steps, the same every time, and some hundred times cheaper than their relaxation by
gradient descent. As theirs it is asymmetric: layer by layer, the outputs on what the rounded layers before it
give are held against those of the float model, so that a layer takes back what it can of the errors that reach
it. What the rounding does to the mean is left to the bias, where there is one, so that covariances
take the place of second moments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.calibration import QuantParams
from edgecompress.data.batches import Batch, Batches
from edgecompress.exporters.graph import constant, replace_constant, source_of
from edgecompress.progress import Progress
from edgecompress.quantization.incremental_run import IncrementalRun
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.moments import Moments, input_moments
from edgecompress.quantization.operators import RULES
from edgecompress.quantization.qdq import restore
from edgecompress.quantization.qdq_pairs import pair_of, params_of
from edgecompress.quantization.weights import constant_bias, constant_weight
from edgecompress.runtime import network_rows

SWEEPS = 3
"""Passes over the weights of a layer; a fourth flips next to none."""
LARGEST_COLUMN = 5000
"""Weights of one output channel above which a layer keeps its rounding: the matrix grows with the square."""

BLOCK = 128
"""Weights of a row that are gone through before the slopes of the others follow, in one product."""

SAMPLES = 128
"""Calibration samples that are read: with as many positions of each, columns enough for any layer."""
HELD_BYTES = 5e8
"""What the largest input of a layer may come to over all samples; where it would be more, fewer are read."""
RUN_ROWS = 2
"""Samples in one run."""

Floats = NDArray[np.float32]


def round_adaptively(lowering: Lowering, batches: Batches, progress: Progress) -> Lowering:
    """A lowering whose weights lie on their integer grid, rounded for the outputs of their layers.

    Args:
        lowering: not modified.
        batches: calibration data.
        progress: told of every layer.
    """
    model = lowering.model.clone()
    layers = [node for node in model.graph if _is_roundable(node, lowering)]
    for node in layers:
        _give_bias(model.graph, node)
    integers = replace(lowering, model=model).write()
    known = [{str(node.name): node for node in each.graph} for each in (lowering.floats, integers)]
    sources = [source_of(known[0][str(node.name)]) for node in layers]
    float_run, integer_run = _start((lowering.floats, integers), batches, sources)
    for node in progress.track(layers, "rounding weights", "layer"):
        real, integer = (nodes[str(node.name)] for nodes in known)
        inputs = float_run.to(source_of(real)), _dequantized(integer_run, integer)
        _round_layer(model.graph, node, lowering.weights[str(node.name)], input_moments(node, *inputs))
        for index in range(1, len(node.inputs)):
            restore(integer, index, _constant(node, index))
    return replace(lowering, model=model)


def _start(models: Sequence[ir.Model], batches: Batches, sources: Sequence[ir.Value]) -> list[IncrementalRun]:
    """Runs at the start of each model, with the same samples: as many as memory has room for at all ``sources``."""
    splits = network_rows(models[0], batches.axes) is None
    first = next(_runs(batches, RUN_ROWS, splits=splits))
    scout = IncrementalRun(models[0], [first.inputs])
    largest = max((array.nbytes for source in sources for array in scout.to(source)), default=0) / first.rows
    samples = min(SAMPLES, max(RUN_ROWS, int(HELD_BYTES / max(largest, 1))))
    runs = [run.inputs for run in _runs(batches, samples, splits=splits)]
    return [IncrementalRun(model, runs) for model in models]


def _runs(batches: Batches, samples: int, *, splits: bool) -> Iterator[Batch]:
    """The first samples in small runs; whole batches where the model does not take parts of them."""
    left = samples
    for batch in batches:
        taken = batch.slice(0, left) if splits else batch
        step = RUN_ROWS if splits else batch.rows
        yield from (taken.slice(start, start + step) for start in range(0, taken.rows, step))
        left -= taken.rows
        if left <= 0:
            return


def _constant(layer: ir.Node, index: int) -> Floats:
    array = constant(layer.inputs[index])
    assert array is not None
    return array


def _dequantized(run: IncrementalRun, layer: ir.Node) -> Iterator[Floats]:
    """What a layer of the INT8 model reads, run by run."""
    pair = pair_of(layer, 0)
    params = params_of(pair)
    return (params.dequantize(codes) for codes in run.to(source_of(pair)))


def _give_bias(graph: ir.Graph, layer: ir.Node) -> None:
    """Zeros, where a layer can have a bias and has none."""
    if RULES[layer.op_type].bias is not None and constant_bias(layer) is None:
        replace_constant(graph, layer, 2, np.zeros(len(_rows(layer, _constant(layer, 1))), np.float32))


def _is_roundable(node: ir.Node, lowering: Lowering) -> bool:
    """Whether a layer multiplies columns of inputs by a constant weight of its own, not too large for its moments.

    One that several layers read stays equal for all of them, and is stored once.
    """
    weight = constant_weight(node) if node.name in lowering.weights else None
    if weight is None or _is_shared(node) or weight.ndim != (4 if node.op_type == "Conv" else 2):
        return False
    padded_by_hand = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    return padded_by_hand and _rows(node, weight).shape[1] <= LARGEST_COLUMN


def _is_shared(layer: ir.Node) -> bool:
    weight = layer.inputs[1]
    return weight is not None and len(weight.uses()) > 1


def _round_layer(graph: ir.Graph, node: ir.Node, params: QuantParams, moments: Moments) -> None:
    weight = _constant(node, 1)
    matrix, scale = _rows(node, weight), _rows(node, _full_scale(params, weight))
    bias, real, mean = constant_bias(node), moments.real, moments.mean
    if bias is not None:
        moments = moments.centred
    moments = moments.shrunk
    groups = len(mean)
    parts = zip(np.split(matrix, groups), np.split(scale, groups), moments.second, moments.error, strict=True)
    largest = params.ends[1]
    rounded = np.concatenate([best_rounding(w, s, second, w @ error, largest) for w, s, second, error in parts])
    replace_constant(graph, node, 1, _unrows(node, rounded, weight))
    if bias is not None:
        before, after = (np.repeat(vector, len(matrix) // groups, axis=0) for vector in (real, mean))
        replace_constant(graph, node, 2, (bias + (matrix * before - rounded * after).sum(axis=1)).astype(np.float32))


def best_rounding(weight: Floats, scale: Floats, objective: Floats, drift: Floats, largest: int = 127) -> Floats:
    """Weights on the grid that cost the least, dw H dw^T + 2 dw drift^T, that coordinate descent finds.

    Args:
        weight: (channels, k).
        scale: of the same shape; the distance of two integers.
        objective: H, symmetric and positive semidefinite, (k, k).
        drift: of the shape of ``weight``; half the slope of the cost there, zeros where the inputs hold no error.
        largest: integer of the grid.

    Returns:
        (channels, k), every entry ``scale`` times an integer, at most one step away from ``weight``. No row
        costs more than rounding to the nearest integer does.
    """
    down = np.floor(weight / scale)
    limit = np.clip(np.abs(np.rint(weight / scale)).max(axis=1, keepdims=True), 1, largest)
    up = ((np.rint(weight / scale) > down) & (down + 1 <= limit)).astype(np.float32)
    slope = ((down + up) * scale - weight) @ objective + drift
    curvature = np.diagonal(objective)
    free = (down >= -limit) & (down + 1 <= limit)
    for _ in range(SWEEPS):
        flips = 0
        for start in range(0, len(objective), BLOCK):
            block = slice(start, start + BLOCK)
            within = objective[block, block]
            moved = _descend(up[:, block], slope[:, block], scale[:, block], curvature[block], free[:, block], within)
            slope += moved @ objective[block]
            flips += int(np.count_nonzero(moved))
        if not flips:
            break
    return np.asarray((down + up) * scale, np.float32)


def _descend(up: Floats, slope: Floats, steps: Floats, curvature: Floats, free: NDArray[np.bool_], h: Floats) -> Floats:
    """Steps by which the weights of a block move: one after the other is flipped, in ``up``, where that costs less."""
    local, moved = slope.copy(), np.zeros_like(steps)
    for k in range(len(h)):
        change = np.where(up[:, k] > 0, -steps[:, k], steps[:, k])
        gain = change * (2 * local[:, k] + change * curvature[k])
        chosen = np.flatnonzero((gain < 0) & free[:, k])
        if chosen.size:
            local[chosen] += np.outer(change[chosen], h[k])
            up[chosen, k] = 1 - up[chosen, k]
            moved[chosen, k] = change[chosen]
    return moved


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
