"""What stays float though it has an integer kernel: what the recipe names, and what is no faster in integers.

An integer convolution gathers its input for every output pixel, and requantizes every output. Over few channels that
costs more than the multiplications save, and ONNX Runtime's float kernel wins, which needs neither. At the entry of a
network it wins without a price: there is no integer yet to be turned back. That rounds the first, largest
images less, too, on which all else depends.

The limits are those where both kinds are equally fast (ONNX Runtime 1.32, x86, one thread: ``python -m
benchmarks.placement``).
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import escape

import onnx_ir as ir

from edgecompress.exporters.graph import constant
from edgecompress.quantization.operators import RULES, Role
from edgecompress.recipe.tables import Quantization

MOST_INPUTS = 3
"""Channels of an image. From 4 on integer kernels read them packed."""
MOST_PRODUCTS = 2000
"""Weights, and so products per pixel, of a convolution over so few channels."""
MOST_DEPTHWISE = 64
"""Channels of a depthwise convolution."""

BY_RECIPE = "the recipe keeps it float (quantization.keep_float)"
BY_BUDGET = "it returned to float for the accuracy budget"
BY_TIME = "as floats it was faster where this was timed (quantization.placement)"
UNSEEN = "its body never ran on the calibration data; its weights are stored as INT8"
BODY_BY_BUDGET = "its body computes in floats for the accuracy budget; its weights are stored as INT8"
STORED = (BY_TIME, UNSEEN, BODY_BY_BUDGET)
"""The reasons that leave the weights of a layer INT8 in the file."""
BY_SPEED = "over so few channels floats are faster (quantization.integer_entry)"


def kept_float(graph: ir.Graph, recipe: Quantization) -> dict[str, str]:
    """What stays float in a graph, by the recipe and for speed.

    Args:
        graph: float, its nodes named, in topological order.
        recipe: names nodes, and may want the entry in integers.
    """
    narrow = [] if recipe.integer_entry or recipe.enclose else narrow_entry(graph)
    named = dict.fromkeys(recipe.keep_float, BY_RECIPE)  # first: what both mean is the recipe's
    return named | {name: BY_SPEED for name in map(escape, narrow) if name not in named}


def unmatched(graph: ir.Graph, keep_float: Sequence[str]) -> tuple[str, ...]:
    """The wildcards that no node's name matches, in bodies of control flow either."""
    names = [str(node.name) for node in graph.all_nodes()]
    return tuple(pattern for pattern in keep_float if not any(fnmatchcase(name, pattern) for name in names))


def narrow_entry(graph: ir.Graph) -> list[str]:
    """Names of the convolutions over few channels that inputs reach through nothing that is worth making integer."""
    early, names = set(graph.inputs), []
    for node in graph:
        if not any(value in early for value in node.inputs) or not _reads_only(node, early):
            continue
        rule = RULES.get(node.op_type)
        if rule is None or rule.role is not Role.ANCHOR:
            early.update(node.outputs)
        elif _is_narrow(node):
            names.append(str(node.name))
            early.update(node.outputs)
    return names


def _reads_only(node: ir.Node, early: set[ir.Value]) -> bool:
    return all(value is None or value in early or constant(value) is not None for value in node.inputs)


def _is_narrow(node: ir.Node) -> bool:
    """Whether a node is a convolution of images with constant weights that floats run faster."""
    weight = constant(node.inputs[1]) if node.op_type == "Conv" else None
    if weight is None or weight.ndim != 4:
        return False
    groups = node.attributes.get_int("group", 1)
    if groups == len(weight) > 1:
        return groups <= MOST_DEPTHWISE
    return weight.shape[1] * groups <= MOST_INPUTS and weight.size <= MOST_PRODUCTS
