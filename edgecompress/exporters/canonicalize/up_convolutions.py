"""A transposed convolution whose steps do not overlap becomes a 1x1 convolution and DepthToSpace."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.graph import constant, initializer, node, substitute
from edgecompress.step import StepResult


def flatten_up_convolutions(model: ir.Model) -> StepResult[ir.Model]:
    """Write ConvTranspose with kernel = stride (U-Net's 2x2) as Conv and DepthToSpace.

    Each input pixel makes one tile of the output: a 1x1 convolution to kernel^2 times the channels
    computes the tiles, and DepthToSpace lays them out. Both have integer kernels, ConvTranspose has none.
    """
    flattened = model.clone()
    changes: list[str] = []
    for up in list(flattened.graph):
        block = _block(up) if up.op_type == "ConvTranspose" else None
        if block is not None:
            _rewrite(flattened.graph, up, block)
            changes.append(f"{up.name}: ConvTranspose became Conv and DepthToSpace")
    passes.RemoveUnusedNodesPass()(flattened)
    return StepResult(model=flattened, changes=tuple(changes))


def _block(up: ir.Node) -> int | None:
    """Kernel and stride, where they are one square number and nothing else moves a value."""
    weight = constant(up.inputs[1])
    if (
        weight is None
        or weight.ndim != 4
        or any(value is not None and constant(value) is None for value in up.inputs[2:])
    ):
        return None
    block = int(weight.shape[2])
    strides = _ints(up, "strides") or [1, 1]
    unpadded = "output_shape" not in up.attributes and not any(_ints(up, "pads") + _ints(up, "output_padding"))
    undilated = all(step == 1 for step in _ints(up, "dilations"))
    automatic = up.attributes.get_string("auto_pad", "NOTSET")
    square = list(weight.shape[2:]) == strides == [block, block]
    return block if square and unpadded and undilated and automatic in ("NOTSET", "VALID") else None


def _ints(up: ir.Node, name: str) -> list[int]:
    return list(up.attributes[name].as_ints()) if name in up.attributes else []


def _rewrite(graph: ir.Graph, up: ir.Node, block: int) -> None:
    weight = constant(up.inputs[1])
    assert weight is not None
    groups = up.attributes.get_int("group", 1)
    # All channels of a pixel lie together, and are moved at once; those of a group have to.
    order, mode = ((1, 2, 3, 0), "CRD") if groups > 1 else ((2, 3, 1, 0), "DCR")
    parts = [part.transpose(order).reshape(-1, len(part), 1, 1) for part in np.split(weight, groups)]
    inputs = [up.inputs[0], initializer(graph, f"{up.name}/weight", np.concatenate(parts))]
    bias = constant(up.inputs[2]) if len(up.inputs) > 2 else None
    if bias is not None:
        spread = np.repeat(bias, block**2) if groups > 1 else np.tile(bias, block**2)
        inputs.append(initializer(graph, f"{up.name}/bias", spread))
    tiles = node("Conv", inputs, f"{up.name}/tiles", str(up.name), kernel_shape=[1, 1], group=groups)
    tiles.outputs[0].type = up.outputs[0].type
    tile = node("DepthToSpace", tiles.outputs, "", f"{up.name}/tile", blocksize=block, mode=mode)
    substitute(graph, up, [tiles, tile])
