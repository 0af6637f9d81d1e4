"""A batch norm that no convolution has taken up becomes a depthwise one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.graph import constant, initializer, is_float, node, substitute
from edgecompress.step import StepResult


def convolve_batch_norms(model: ir.Model) -> StepResult[ir.Model]:
    """Write BatchNormalization of an image as a depthwise 1x1 Conv with the same factors and offsets.

    It stands behind a concatenation (DenseNet) or a residual sum (pre-activation ResNet), where nothing
    can absorb it; as a convolution it has an integer kernel that takes up the ReLU behind it.
    """
    convolved = model.clone()
    changes: list[str] = []
    for norm in list(convolved.graph):
        if norm.op_type == "BatchNormalization" and _is_fixed(norm):
            _rewrite(convolved.graph, norm)
            changes.append(f"{norm.name}: BatchNormalization became a depthwise Conv")
    passes.RemoveUnusedNodesPass()(convolved)
    return StepResult(model=convolved, changes=tuple(changes))


def _is_fixed(norm: ir.Node) -> bool:
    source = norm.inputs[0]
    is_image = is_float(source) and source is not None and source.shape is not None and len(source.shape) == 4
    is_inference = len(norm.outputs) == 1 and not norm.attributes.get_int("training_mode", 0)
    return is_image and is_inference and all(constant(value) is not None for value in norm.inputs[1:])


def _rewrite(graph: ir.Graph, norm: ir.Node) -> None:
    gamma, beta, mean, variance = (np.asarray(constant(value), np.float64) for value in norm.inputs[1:])
    factor = gamma / np.sqrt(variance + norm.attributes.get_float("epsilon", 1e-5))
    weight = initializer(graph, f"{norm.name}/weight", factor.reshape(-1, 1, 1, 1).astype(np.float32))
    bias = initializer(graph, f"{norm.name}/bias", (beta - mean * factor).astype(np.float32))
    inputs = [norm.inputs[0], weight, bias]
    substitute(graph, norm, [node("Conv", inputs, "", str(norm.name), group=len(factor), kernel_shape=[1, 1])])
