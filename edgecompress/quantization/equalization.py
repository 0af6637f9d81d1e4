"""Cross-layer equalization: channels are scaled between two layers until one scale fits all of a weight.

ReLU and its like let a positive factor through: what a layer's output channel is multiplied by, the next
layer's input channel is divided by, and the network computes the same (Nagel et al. 2019, "Data-Free
Quantization through Weight Equalization and Bias Correction", section 4.1). With weights quantized per
tensor, one channel with large weights takes the resolution from all others; the factors balance both layers.

A Clip (ReLU6) does not let every factor through. A channel that reaches its bound on the calibration data
keeps its scale; one that stays below may grow until it reaches the bound, and no further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.data.batches import Batches
from edgecompress.errors import plural
from edgecompress.exporters.graph import constant, is_float, reduced, replace_constant
from edgecompress.progress import Progress
from edgecompress.quantization.weights import constant_bias, constant_weight
from edgecompress.runtime import ALL_CORES, open_session, run_session
from edgecompress.step import StepResult

ROUNDS = 3
"""Walks over the pairs; each balances a layer anew with its changed neighbour."""
LARGEST_FACTOR = 1e6
"""A channel that is always zero would take any factor."""
HEAVIEST_BIAS = 1e3
"""Times the layer's largest weight: beyond, the bias of one channel would outgrow INT32 on the scale of all."""
CHANNELWISE = ("AveragePool", "GlobalAveragePool", "MaxPool", "Pad")
"""Operators that a channel's factor passes unchanged."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two layers, by name, with nothing between them that a channel's factor does not pass.

    ``bound`` is what a Clip between them lets through, infinity where there is none.
    """

    first: str
    second: str
    bound: float


def equalize(model: ir.Model, batches: Batches, progress: Progress) -> StepResult[ir.Model]:
    """A float model that computes the same with balanced weights; behind a Clip, the same on the calibration data.

    Args:
        model: not modified; its nodes have names.
        batches: calibration data, for the largest value of every channel before a Clip.
        progress: told of every batch.
    """
    found = pairs(model.graph)
    if not found:
        return StepResult(model=model, changes=("no two layers can be equalized",))
    peaks = channel_peaks(model, [pair.first for pair in found if np.isfinite(pair.bound)], batches, progress)
    equalized = model.clone()
    nodes = {str(node.name): node for node in equalized.graph}
    for _ in range(ROUNDS):
        for pair in found:
            factors = _factors(nodes[pair.first], nodes[pair.second], peaks.get(pair.first), pair.bound)
            _scale(equalized.graph, nodes[pair.first], nodes[pair.second], factors)
            if pair.first in peaks:
                peaks[pair.first] = peaks[pair.first] * factors
    return StepResult(model=equalized, changes=(f"{plural(len(found), 'pair')} of layers equalized",))


def pairs(graph: ir.Graph) -> list[Pair]:
    """The pairs of layers that a factor can be moved between, in the order of the graph."""
    found = (_pair_from(node) for node in graph if _is_scalable(node))
    return [pair for pair in found if pair is not None]


def _pair_from(first: ir.Node) -> Pair | None:
    value, bound = first.outputs[0], np.inf
    while (reader := _only_reader(value)) is not None:
        if reader.graph is not first.graph:
            return None
        if reader.op_type == "Conv":
            fits = reader.inputs[0] is value and _fits(first, reader)
            return Pair(first=str(first.name), second=str(reader.name), bound=bound) if fits else None
        limit = _limit(reader)
        if limit is None:
            return None
        value, bound = reader.outputs[0], min(bound, limit)
    return None


def _is_scalable(layer: ir.Node) -> bool:
    """Whether a node is a float32 convolution all of whose parameters are constants."""
    given = [value for value in layer.inputs if value is not None]
    return (
        layer.op_type == "Conv"
        and all(map(is_float, given))
        and all(constant(value) is not None for value in given[1:])
    )


def _fits(first: ir.Node, second: ir.Node) -> bool:
    """Whether each output channel of one layer is an input channel of the other."""
    written = constant_weight(first)
    read = _input_channels(second) if _is_scalable(second) else None
    return written is not None and read is not None and len(read) == len(written)


def _only_reader(value: ir.Value) -> ir.Node | None:
    readers = [reader for reader, _ in value.uses()]
    return readers[0] if len(readers) == 1 and not value.is_graph_output() else None


def _limit(between: ir.Node) -> float | None:
    """What an operator bounds a channel to, or None where it does not let a positive factor through."""
    if between.op_type == "Clip":
        low, high = ([constant(value) for value in between.inputs[1:]] + [None, None])[:2]
        starts_at_zero = low is not None and low.item() == 0
        return (np.inf if high is None else float(high.item())) if starts_at_zero else None
    if between.op_type == "Pad":
        fill = constant(between.inputs[2]) if len(between.inputs) > 2 and between.inputs[2] is not None else np.zeros(1)
        zero = between.attributes.get_string("mode", "constant") == "constant" and fill is not None and not fill.any()
        return np.inf if zero else None
    return np.inf if between.op_type in ("Relu", *CHANNELWISE) else None


def _input_channels(layer: ir.Node) -> Floats | None:
    """The largest weight that each input channel meets; None for groups of several channels."""
    weight = constant_weight(layer)
    if weight is None:
        return None
    if layer.attributes.get_int("group", 1) == 1:
        return np.asarray(np.abs(weight).max(axis=(0, *range(2, weight.ndim))))
    return _output_channels(weight) if _group_is_channel(layer, weight) else None


def _group_is_channel(layer: ir.Node, weight: Floats) -> bool:
    return weight.shape[1] == 1 and layer.attributes.get_int("group", 1) == len(weight) > 1


def _output_channels(weight: Floats) -> Floats:
    return np.asarray(np.abs(weight).reshape(len(weight), -1).max(axis=1))


def _factors(first: ir.Node, second: ir.Node, peaks: NDArray[np.float64] | None, bound: float) -> NDArray[np.float64]:
    """What each channel between two layers is multiplied by: sqrt(r2 / r1), within what a bound allows."""
    weight, read = constant_weight(first), _input_channels(second)
    assert weight is not None
    assert read is not None
    tiny = np.finfo(np.float32).tiny
    written = np.maximum(_output_channels(weight).astype(np.float64), tiny)
    read = np.maximum(read.astype(np.float64), tiny)
    held = np.zeros(len(written), bool) if peaks is None else peaks >= bound
    # Channels that keep their scale decide how large the others may become; without any, the largest ones do.
    leaders = held if held.any() else np.ones_like(held)
    factors = np.sqrt(read / written * written[leaders].max() / read[leaders].max())
    if peaks is not None:
        factors = np.minimum(factors, bound / np.maximum(peaks, bound / LARGEST_FACTOR))
        factors = np.minimum(factors, np.maximum(1.0, HEAVIEST_BIAS * written.max() / np.maximum(_bias(first), tiny)))
        factors[held] = 1.0
    within: NDArray[np.float64] = np.clip(factors, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    return within


def _bias(layer: ir.Node) -> NDArray[np.float64]:
    """Magnitude of the bias of each channel; one zero where there is no bias."""
    bias = constant_bias(layer)
    return np.zeros(1) if bias is None else np.abs(bias.astype(np.float64))


def _scale(graph: ir.Graph, first: ir.Node, second: ir.Node, factors: NDArray[np.float64]) -> None:
    before, after = constant_weight(first), constant_weight(second)
    assert before is not None
    assert after is not None
    trailing = [1] * (before.ndim - 2)
    column = factors.reshape(-1, 1, *trailing)
    by_input = column if _group_is_channel(second, after) else factors.reshape(1, -1, *trailing)
    bias = constant_bias(first)
    replace_constant(graph, first, 1, (before * column).astype(np.float32))
    if bias is not None:
        replace_constant(graph, first, 2, (bias * factors).astype(np.float32))
    replace_constant(graph, second, 1, (after / by_input).astype(np.float32))


def channel_peaks(
    model: ir.Model, layers: Sequence[str], batches: Batches, progress: Progress
) -> dict[str, NDArray[np.float64]]:
    """The largest output of every channel of the named convolutions over all batches, of shape (channels,)."""
    if not layers:
        return {}
    watched = model.clone()
    watched.graph.outputs.clear()
    for current in list(watched.graph):
        if current.name in layers:
            weight = constant_weight(current)
            assert weight is not None
            peak = reduced(watched.graph, "ReduceMax", current, weight.ndim, f"{current.name}/peak")
            watched.graph.outputs.append(peak)
    session = open_session(watched, ALL_CORES)
    peaks = {name: np.full(1, -np.inf) for name in layers}
    for batch in progress.track(batches, "measuring channel peaks", "batch"):
        for name, found in zip(layers, run_session(session, batch.inputs), strict=True):
            peaks[name] = np.maximum(peaks[name], found)
    return peaks
