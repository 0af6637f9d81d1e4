"""Operators that sum up over axes, and those that normalize by such sums."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import functional

Function = Callable[..., Tensor]


def _reducing(reduce: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[[ir.Node], Function]:
    def make(node: ir.Node) -> Function:
        keeps = bool(node.attributes.get_int("keepdims", 1))
        nothing = bool(node.attributes.get_int("noop_with_empty_axes", 0))
        fixed = list(node.attributes["axes"].as_ints()) if "axes" in node.attributes else []

        def run(x: Tensor, axes: Tensor | None = None) -> Tensor:
            chosen = fixed if axes is None else [int(axis) for axis in axes.tolist()]
            if not chosen and nothing:
                return x
            return reduce(x, chosen or list(range(x.ndim)), keeps)

        return run

    return make


def _softmax(node: ir.Node) -> Function:
    axis = node.attributes.get_int("axis", -1)
    return lambda x: torch.softmax(x, axis)


def _log_softmax(node: ir.Node) -> Function:
    axis = node.attributes.get_int("axis", -1)
    return lambda x: torch.log_softmax(x, axis)


def _layer_norm(node: ir.Node) -> Function:
    axis, epsilon = node.attributes.get_int("axis", -1), node.attributes.get_float("epsilon", 1e-5)

    def run(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
        shape = x.shape[axis % x.ndim :]
        return functional.layer_norm(
            x, shape, scale.expand(shape), None if bias is None else bias.expand(shape), epsilon
        )

    return run


def _instance_norm(node: ir.Node) -> Function:
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    return lambda x, scale, bias: functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def _batch_norm(node: ir.Node) -> Function:
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    return lambda x, scale, bias, mean, variance: functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


MAKERS: dict[str, Callable[[ir.Node], Function]] = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _log_softmax,
    "ReduceL2": _reducing(lambda x, axes, keeps: torch.linalg.vector_norm(x, dim=axes, keepdim=keeps)),
    "ReduceMax": _reducing(torch.amax),
    "ReduceMean": _reducing(torch.mean),
    "ReduceMin": _reducing(torch.amin),
    "ReduceSum": _reducing(torch.sum),
    "Softmax": _softmax,
}
"""The maker of each operator."""
