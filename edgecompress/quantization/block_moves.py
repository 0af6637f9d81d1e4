"""Integer DepthToSpace and SpaceToDepth as moves of whole pixels, in the layout in which integer convolutions work.

ONNX Runtime's kernels move value by value, between two changes of layout. With channels last, which integer
convolutions have anyway, they are one Transpose that moves all channels of a pixel at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import initializer, node, producer, source_of, substitute
from edgecompress.exporters.shapes import with_shapes

KINDS = ("DepthToSpace", "SpaceToDepth")


def move_pixels(model: ir.Model) -> ir.Model:
    """A copy of a quantized model in which blocks of integers are moved pixel by pixel; the outputs are the same bits.

    Args:
        model: with QuantizeLinear and DequantizeLinear; not modified.
    """
    moved = model.clone()
    blocks = [each for each in moved.graph if each.op_type in KINDS and _is_of_pixels(each)]
    sizes = _sizes(model, [str(each.name) for each in blocks]) if blocks else {}
    for each in blocks:
        if str(each.name) in sizes:
            _move(moved.graph, each, sizes[str(each.name)])
    return moved


def _is_of_pixels(node_: ir.Node) -> bool:
    """Whether a node moves integers whose channels are blocks of whole pixels."""
    whole = node_.op_type == "SpaceToDepth" or node_.attributes.get_string("mode", "DCR") == "DCR"
    return whole and _are_codes(node_.inputs[0])


def _are_codes(value: ir.Value | None) -> bool:
    """Whether a QuantizeLinear writes a value, or a Clip of what it writes."""
    clip = producer(value, "Clip")
    return _are_codes(clip.inputs[0]) if clip is not None else producer(value, "QuantizeLinear") is not None


def _sizes(model: ir.Model, names: Sequence[str]) -> dict[str, list[int]]:
    """Channels, height and width of what each of these nodes reads, by its name, where they are known."""
    sizes = {}
    for each in with_shapes(model).graph:
        shape = source_of(each).shape if each.name in names else None
        if shape is not None and len(known := [size for size in shape[1:] if isinstance(size, int)]) == 3:
            sizes[str(each.name)] = known
    return sizes


def _move(graph: ir.Graph, block: ir.Node, sizes: Sequence[int]) -> None:
    (channels, height, width), side, name = sizes, block.attributes.get_int("blocksize", 1), str(block.name)
    if block.op_type == "DepthToSpace":
        apart = [-1, height, width, side, channels // side]
        whole = [-1, height * side, width * side, channels // side**2]
    else:
        apart = [-1, height // side, side, width // side, side * channels]
        whole = [-1, height // side, width // side, side**2 * channels]
    last = node("Transpose", [source_of(block)], f"{name}/moved", f"{name}/moved", perm=[0, 2, 3, 1])
    parts = node("Reshape", [last.outputs[0], _shape(graph, f"{name}/shape", apart)], f"{name}/flat", f"{name}/flat")
    turned = node("Transpose", [parts.outputs[0]], f"{name}/tiles", f"{name}/tiles", perm=[0, 1, 3, 2, 4])
    pixels = _shape(graph, f"{name}/spread", whole)
    joined = node("Reshape", [turned.outputs[0], pixels], f"{name}/whole", f"{name}/whole")
    first = node("Transpose", [joined.outputs[0]], "", name, perm=[0, 3, 1, 2])
    substitute(graph, block, [last, parts, turned, joined, first])


def _shape(graph: ir.Graph, name: str, sizes: Sequence[int]) -> ir.Value:
    return initializer(graph, name, np.array(sizes, np.int64))
