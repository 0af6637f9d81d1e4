"""Operators that work value by value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import functional

Function = Callable[..., Tensor]


def _plain(function: Function) -> Callable[[ir.Node], Function]:
    """The maker of an operator without attributes."""
    return lambda _node: function


def _folded(function: Function) -> Callable[[ir.Node], Function]:
    """The maker of an operator of two inputs that ONNX lets take any number of them."""
    return lambda _node: lambda *values: functools.reduce(function, values)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)


def _clip(_node: ir.Node) -> Function:
    def run(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
        x = x if low is None else torch.maximum(x, low.to(x.dtype))
        return x if high is None else torch.minimum(x, high.to(x.dtype))

    return run


def _hard_sigmoid(node: ir.Node) -> Function:
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0, 1)


def _elu(node: ir.Node) -> Function:
    alpha = node.attributes.get_float("alpha", 1.0)
    return lambda x: functional.elu(x, alpha)


def _leaky_relu(node: ir.Node) -> Function:
    slope = node.attributes.get_float("alpha", 0.01)
    return lambda x: functional.leaky_relu(x, slope)


def _gelu(node: ir.Node) -> Function:
    approximate = node.attributes.get_string("approximate", "none")
    return lambda x: functional.gelu(x, approximate=approximate)


def _cast(node: ir.Node) -> Function:
    dtype = torch_dtype(ir.DataType(node.attributes["to"].as_int()))
    return lambda x: x.to(dtype)


def torch_dtype(dtype: ir.DataType) -> torch.dtype:
    """PyTorch's name of a type of ONNX."""
    found: Any = getattr(torch, {"FLOAT": "float32", "DOUBLE": "float64"}.get(dtype.name, dtype.name.lower()))
    assert isinstance(found, torch.dtype)
    return found


def _where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition, a, b)


MAKERS: dict[str, Callable[[ir.Node], Function]] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "Cast": _cast,
    "Ceil": _plain(torch.ceil),
    "Clip": _clip,
    "Cos": _plain(torch.cos),
    "Div": _plain(_divide),
    "Elu": _elu,
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Floor": _plain(torch.floor),
    "Gelu": _gelu,
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(functional.hardswish),
    "Identity": _plain(torch.clone),
    "LeakyRelu": _leaky_relu,
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Mish": _plain(functional.mish),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "PRelu": _plain(_prelu),
    "Pow": _plain(torch.pow),
    "Reciprocal": _plain(torch.reciprocal),
    "Relu": _plain(functional.relu),
    "Sigmoid": _plain(torch.sigmoid),
    "Sign": _plain(torch.sign),
    "Sin": _plain(torch.sin),
    "Softplus": _plain(functional.softplus),
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
    "Sum": _folded(torch.add),
    "Tanh": _plain(torch.tanh),
    "Where": _plain(_where),
}
"""The maker of each operator."""
