"""What a network costs once units are removed, counted on its graph: multiply-accumulates and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from torch import Tensor, fx

from edgecompress.pruning.structure.analysis import Channels, Structure
from edgecompress.pruning.structure.groups import kept_by_axis
from edgecompress.pruning.structure.rules.call import operator_name

Shapes = Mapping[fx.Node, tuple[int, ...]]


def count_parameters(structure: Structure, gone: Tensor) -> int:
    """The parameters that are left, buffers not counted."""
    names = structure.program.graph_signature.parameters
    shapes = (shape_left(structure.tensors[name], gone) for name in names if name in structure.tensors)
    return sum(math.prod(shape) for shape in shapes)


def count_macs(structure: Structure, gone: Tensor) -> int:
    """The multiply-accumulates that are left for the inputs that the network was captured with."""
    return sum(macs for _, macs in macs_by_node(structure, gone))


def macs_by_node(structure: Structure, gone: Tensor) -> Iterator[tuple[fx.Node, int]]:
    """Every convolution, linear layer, matrix product and attention, with its multiply-accumulates."""
    for node in structure.program.graph.nodes:
        if node.op != "call_function":
            continue
        name = operator_name(node)
        operands = [shape_left(structure.values[one][0], gone) for one in node.all_input_nodes if structure.values[one]]
        if name.startswith("conv") or name == "linear":
            result = shape_left(structure.values[node][0], gone)
            inner = math.prod(operands[1][1:])
            yield node, math.prod(operands[0] if "transpose" in name else result) * inner
        elif name in ("addmm", "bmm", "matmul", "mm", "baddbmm"):
            result = shape_left(structure.values[node][0], gone)
            yield node, math.prod(result) * operands[-2 if name.startswith(("add", "badd")) else 0][-1]
        elif name == "scaled_dot_product_attention":
            query, key, value = operands[:3]
            yield node, math.prod(query[:-1]) * key[-2] * (key[-1] + value[-1])


def shape_left(channels: Channels, gone: Tensor) -> tuple[int, ...]:
    """The shape of a tensor once units are removed."""
    kept = kept_by_axis(channels, gone)
    return tuple(int(kept[axis].sum()) if axis in kept else size for axis, size in enumerate(channels.shape))
