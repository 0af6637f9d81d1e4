"""Channels between layers rounded up to whole blocks, since kernels are slow at what is left over of one.

ONNX Runtime's integer convolutions by channel work on 16 channels at once and on the rest one by one: 58 channels take
as long as 128. A value between convolutions can have more channels: filters of zeros write them, and weights of zeros
read them, past a Concat as well. Integer sums stay the same, bit for bit. On CPUs with AVX-512 it holds for float
pools, too: they leave the blocked layout where channels do not fill its blocks, which are of 8 with AVX2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Array
from edgecompress.exporters.graph import constant, initializer, producer
from edgecompress.quantization.channel_layouts import NEW, STORING, Fact, Layout, channel_layouts, indices_of


def align_channels(model: ir.Model, *, pools: bool = False) -> ir.Model:
    """A copy of a quantized model whose convolutions by channel have whole blocks of channels, where that is exact.

    Args:
        model: with QuantizeLinear and DequantizeLinear; not modified.
        pools: whether float pools gain by whole blocks as well, on the CPU that the model is for.
    """
    aligned = model.clone()
    for fact, layout in channel_layouts(aligned.graph, pools=pools):
        fact.value.shape = None
        if fact.node is not None:
            _rewrite(aligned.graph, fact, fact.node, layout)
    passes.RemoveUnusedNodesPass()(aligned)
    return aligned


def _rewrite(graph: ir.Graph, fact: Fact, node: ir.Node, layout: Layout) -> None:
    """Let a node write or read the channels of a layout: new ones are zeros, with the scale of the first."""
    if fact.role in ("writer", "between"):
        for index in range(1, len(node.inputs)):
            _lay_out(graph, node, index, 0, layout)
    if fact.role == "between":
        node.attributes["group"] = ir.AttrInt64("group", len(layout))
    if fact.role == "reader":
        _lay_out(graph, node, 1, 1, layout)
    if fact.role in ("gathered", "gathers"):
        _gather(graph, node, layout, written=fact.role == "gathered")


def _gather(graph: ir.Graph, node: ir.Node, layout: Layout, *, written: bool) -> None:
    """Choose the channels of a layout, any for new ones; or those that were chosen, from where they lie now."""
    chosen, places = indices_of(node) or [], {channel: place for place, channel in enumerate(layout)}
    now = [chosen[max(channel, 0)] for channel in layout] if written else [places[channel] for channel in chosen]
    node.replace_input_with(1, initializer(graph, f"{node.name}/channels", np.array(now, np.int32)))


def _lay_out(
    graph: ir.Graph,
    user: ir.Node,
    index: int,
    axis: int,
    layout: Sequence[int],
    new: Literal["zero", "first"] = "zero",
) -> None:
    """Lay out a constant that a node reads along an axis, or those that it is computed from."""
    value = user.inputs[index]
    storing, held = producer(value, *STORING), constant(value)
    if storing is not None and held is None:
        _lay_out(graph, storing, 0, axis, layout)
        # Scales and zero points lie along one axis of a DequantizeLinear, and are as the weight is for a Mul.
        along = axis if storing.op_type == "Mul" else 0 if storing.attributes.get_int("axis", 1) == axis else None
        for other in range(1, len(storing.inputs) if along is not None else 1):
            _lay_out(graph, storing, other, along or 0, layout, "first")
    elif value is not None and held is not None and held.ndim > axis and (new == "zero" or held.shape[axis] > 1):
        user.replace_input_with(index, initializer(graph, f"{value.name}/fill", _laid_out(held, axis, layout, new)))


def _laid_out(held: Array, axis: int, layout: Sequence[int], new: Literal["zero", "first"]) -> Array:
    """An array with the entries of a layout along an axis."""
    channels = np.array(layout)
    taken: Array = np.take(held, channels.clip(min=0), axis)
    if new == "zero":
        shape = [-1 if each == axis else 1 for each in range(held.ndim)]
        taken = np.where((channels != NEW).reshape(shape), taken, np.zeros((), held.dtype))
    return taken
