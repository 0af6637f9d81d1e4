"""Bias correction: what quantization shifts on average is taken back by the bias.

Rounding and saturation move the mean of a layer's outputs, and the layers behind it add such shifts up.
A bias is a free place to undo them (Nagel et al. 2019, "Data-Free Quantization through Weight
Equalization and Bias Correction", section 4.2, in its empirical form).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.data.batches import Batch, Batches
from edgecompress.exporters.graph import initializer, node, reduced, replace_constant
from edgecompress.progress import Progress
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.operators import RULES
from edgecompress.quantization.weights import constant_bias, constant_weight
from edgecompress.runtime import ALL_CORES, network_rows, open_session, run_session

RUN_ROWS = 8
"""Samples in one run: many enough for a mean, few enough for the memory."""


def correct_biases(lowering: Lowering, batches: Batches, progress: Progress) -> Lowering:
    """A lowering whose biases hold the mean error of every layer.

    One pass over the data corrects all layers in order: within each run the outputs of every layer are
    shifted to the float model's means before the next layer reads them, so that a layer is charged with
    only its own error. The shifts, averaged over the runs, go into the biases.

    Args:
        lowering: not modified.
        batches: calibration data.
        progress: told of every batch.
    """
    layers = _corrigible(lowering)
    if not layers:
        return lowering
    watched = _with_outputs(lowering.floats, layers, _mean)
    correcting = _with_outputs(lowering.write(), layers, _shift)
    sessions = [open_session(model, ALL_CORES, background=True) for model in (watched, correcting)]
    splits = network_rows(lowering.model, batches.axes) is None
    total, samples = {name: np.zeros(1) for name in layers}, 0
    for batch in progress.track(batches, "correcting biases", "batch"):
        for run in _runs(batch) if splits else [batch]:
            means = run_session(sessions[0], run.inputs)
            wanted = {_wanted(name): mean for name, mean in zip(layers, means, strict=True)}
            shifts = run_session(sessions[1], {**run.inputs, **wanted})
            for name, shift in zip(layers, shifts, strict=True):
                total[name] = total[name] + run.rows * shift.astype(np.float64)
            samples += run.rows
    return replace(lowering, model=_shifted(lowering.model, {name: shift / samples for name, shift in total.items()}))


def _runs(batch: Batch) -> list[Batch]:
    return [batch.slice(start, start + RUN_ROWS) for start in range(0, batch.rows, RUN_ROWS)]


def _corrigible(lowering: Lowering) -> dict[str, int]:
    """The rank of the outputs of each placed node with a constant weight and room for a bias, in order."""
    return {
        str(node.name): weight.ndim
        for node in lowering.model.graph
        if node.name in lowering.weights and RULES[node.op_type].bias is not None
        if (weight := constant_weight(node)) is not None
    }


def _wanted(name: str) -> str:
    return f"{name}/wanted_mean"


def _with_outputs(
    model: ir.Model, layers: Mapping[str, int], attach: Callable[[ir.Graph, ir.Node, int], ir.Value]
) -> ir.Model:
    """The model with what ``attach`` computes from each layer's output as its outputs."""
    changed = model.clone()
    graph = changed.graph
    graph.outputs.clear()
    for current in list(graph):
        if current.name in layers:
            graph.outputs.append(attach(graph, current, layers[str(current.name)]))
    return changed


def _mean(graph: ir.Graph, layer: ir.Node, rank: int) -> ir.Value:
    """The mean of a layer's output for each channel, float32 of shape (channels,)."""
    return reduced(graph, "ReduceMean", layer, rank, f"{layer.name}/mean")


def _shift(graph: ir.Graph, layer: ir.Node, rank: int) -> ir.Value:
    """What takes a layer's output to a mean that becomes an input of the graph; all readers read the result."""
    output, readers = layer.outputs[0], list(layer.outputs[0].uses())
    wanted = ir.val(_wanted(str(layer.name)), dtype=ir.DataType.FLOAT, shape=[f"{layer.name}/channels"])
    graph.inputs.append(wanted)
    mean = _mean(graph, layer, rank)
    shift = node("Sub", [wanted, mean], f"{layer.name}/shift", f"{layer.name}/shift")
    spread = initializer(graph, f"{layer.name}/spread", np.array([-1, *[1] * (rank - 2)], np.int64))
    column = node("Reshape", [shift.outputs[0], spread], f"{layer.name}/shift_column", f"{layer.name}/spread")
    corrected = node("Add", [output, column.outputs[0]], f"{layer.name}/corrected", f"{layer.name}/correct")
    producer = mean.producer()
    assert producer is not None
    graph.insert_after(producer, [shift, column, corrected])
    for reader, index in readers:
        reader.replace_input_with(index, corrected.outputs[0])
    shift.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    return shift.outputs[0]


def _shifted(model: ir.Model, shifts: Mapping[str, NDArray[np.float64]]) -> ir.Model:
    shifted = model.clone()
    for current in shifted.graph:
        if current.name in shifts:
            bias = constant_bias(current)
            shift = shifts[str(current.name)]
            replace_constant(shifted.graph, current, 2, (shift if bias is None else bias + shift).astype(np.float32))
    return shifted
