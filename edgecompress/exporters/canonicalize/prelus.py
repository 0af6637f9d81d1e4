"""A PRelu of pictures becomes two convolutions by channel and a sum, or a LeakyRelu where all slopes are the same.

ONNX Runtime's PRelu goes value by value: behind a convolution of 16 channels it takes nine times as long. With
slope s it is s x + (1 - s) relu(x): convolutions of one weight a channel, which stay in the layout of those before and
behind, take up the sum, and have integer kernels.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Array
from edgecompress.exporters.graph import constant, initializer, is_float, node, substitute
from edgecompress.step import StepResult

STEEPEST = 4.0
"""Slopes beyond which the two products would take too many digits from each other."""


def convolve_prelus(model: ir.Model) -> StepResult[ir.Model]:
    """Write each PRelu with one slope as LeakyRelu, and of pictures with one for each channel as convolutions.

    A LeakyRelu gives the same bits; the convolutions round once more, to within a few units in the last place.
    """
    convolved = model.clone()
    changes: list[str] = []
    for prelu in list(convolved.graph):
        slopes = constant(prelu.inputs[1]) if prelu.op_type == "PRelu" and prelu.domain in ("", "ai.onnx") else None
        if slopes is None or not is_float(prelu.inputs[0]):
            continue
        if slopes.size and (slopes == slopes.flat[0]).all():
            alpha = float(slopes.flat[0])
            made = [ir.node("LeakyRelu", [prelu.inputs[0]], {"alpha": alpha}, name=prelu.name)]
        elif _is_by_channel(prelu, slopes):
            made = _convolutions(convolved.graph, prelu, slopes.reshape(-1))
        else:
            continue
        substitute(convolved.graph, prelu, made)
        changes.append(f"{prelu.name}: PRelu became {'LeakyRelu' if len(made) == 1 else 'convolutions by channel'}")
    passes.RemoveUnusedNodesPass()(convolved)
    return StepResult(model=convolved, changes=tuple(changes))


def _is_by_channel(prelu: ir.Node, slopes: Array) -> bool:
    """Whether a picture has a slope for each channel, and none is too steep."""
    source = prelu.inputs[0]
    shape = None if source is None else source.shape
    is_channels = shape is not None and len(shape) == 4 and slopes.shape[-3:] == (shape[1], 1, 1)
    return is_channels and slopes.size == slopes.shape[-3] and bool((np.abs(slopes) <= STEEPEST).all())


def _convolutions(graph: ir.Graph, prelu: ir.Node, slopes: Array) -> list[ir.Node]:
    name, source = str(prelu.name), prelu.inputs[0]
    positive = node("Relu", [source], f"{name}/positive", f"{name}/positive")
    parts = [
        node(
            "Conv",
            [value, initializer(graph, f"{name}/{part}/weight", factors.reshape(-1, 1, 1, 1))],
            f"{name}/{part}",
            f"{name}/{part}",
            group=len(slopes),
            kernel_shape=[1, 1],
        )
        for part, value, factors in (("sloped", source, slopes), ("rest", positive.outputs[0], 1 - slopes))
    ]
    return [positive, *parts, node("Add", [part.outputs[0] for part in parts], "", name)]
