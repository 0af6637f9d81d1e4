"""The shortcut of a residual block that skips pixels and adds empty channels becomes a convolution."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.graph import constant, initializer, is_float, node, only_read_by, producer, substitute
from edgecompress.step import StepResult

SHARE = 0.05
"""Largest share of the model's constants that the weight of such a convolution may add."""
LEAST = 4096
"""Elements that it may have in any case."""


def convolve_pad_shortcuts(model: ir.Model) -> StepResult[ir.Model]:
    """Write a Slice in steps over height and width, and a Pad with channels of zeros, as a 1x1 Conv of ones and zeros.

    The shortcut without parameters of He et al. (2016, option A) makes ONNX Runtime leave its blocked layout for every
    block behind it; behind a convolution, Add and ReLU join the convolutions as they do elsewhere.
    """
    convolved = model.clone()
    most = max(SHARE * sum(_size(value) for value in convolved.graph.initializers.values()), LEAST)
    changes: list[str] = []
    for pad in list(convolved.graph):
        added = _empty_channels(pad)
        found = None if added is None else _steps(pad)
        if added is None or found is None:
            continue
        source, steps = found
        channels = source.shape[1] if source.shape is not None else None
        if isinstance(channels, int) and channels * (channels + sum(added)) <= most:
            _rewrite(convolved.graph, pad, source, channels, added, steps)
            changes.append(f"{pad.name}: Slice and Pad became Conv")
    passes.RemoveUnusedNodesPass()(convolved)
    return StepResult(model=convolved, changes=tuple(changes))


def _empty_channels(pad: ir.Node) -> tuple[int, int] | None:
    """The channels of zeros that a Pad adds before and behind those of an image; None where it does something else."""
    if (
        pad.op_type != "Pad"
        or pad.domain not in ("", "ai.onnx")
        or pad.attributes.get_string("mode", "constant") != "constant"
    ):
        return None
    pads, value, axes = ([constant(source) for source in pad.inputs[1:4]] + [None] * 3)[:3]
    if pads is None or not is_float(pad.inputs[0]) or len(pads) != 8 or axes is not None:
        return None
    if len(pad.inputs) > 2 and pad.inputs[2] is not None and (value is None or np.any(value)):
        return None
    before, behind = int(pads[1]), int(pads[5])
    others = np.delete(pads, [1, 5])
    return None if np.any(others) or before < 0 or behind < 0 else (before, behind)


def _steps(pad: ir.Node) -> tuple[ir.Value, list[int]] | None:
    """The image before the Slices that only this Pad reads, and their steps along height and width."""
    steps, reader = {2: 1, 3: 1}, pad
    while (cut := producer(reader.inputs[0], "Slice")) is not None and only_read_by(cut.outputs[0], reader):
        for axis, step in _every(cut):
            if steps.get(axis) != 1:
                return None
            steps[axis] = step
        reader = cut
    source = reader.inputs[0]
    return None if source is None or reader is pad else (source, [steps[2], steps[3]])


def _every(cut: ir.Node) -> Iterator[tuple[int, int]]:
    """Axis and step of a Slice from the first element to the last; an axis of -1 where it is another one."""
    starts, ends, axes, steps = ([constant(source) for source in cut.inputs[1:5]] + [None] * 4)[:4]
    if starts is None or ends is None or axes is None or steps is None:
        yield -1, 0
        return
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        whole = start == 0 and end >= np.iinfo(np.int32).max and step > 0
        yield (int(axis) % 4 if whole else -1), int(step)


def _rewrite(
    graph: ir.Graph, pad: ir.Node, source: ir.Value, channels: int, added: tuple[int, int], steps: list[int]
) -> None:
    weight = np.zeros((channels + sum(added), channels, 1, 1), np.float32)
    weight[np.arange(channels) + added[0], np.arange(channels)] = 1
    inputs = [source, initializer(graph, f"{pad.name}/weight", weight)]
    substitute(graph, pad, [node("Conv", inputs, "", str(pad.name), kernel_shape=[1, 1], strides=steps)])


def _size(value: ir.Value) -> int:
    return int(value.const_value.size) if value.const_value is not None else 0
