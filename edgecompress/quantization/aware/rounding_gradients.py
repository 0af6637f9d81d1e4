"""Rounding that gradients pass: the straight-through estimator, and the gradient of a learned step.

Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation";
Esser et al. 2020, "Learned Step Size Quantization".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Bound = int | Tensor


class _Quantize(torch.autograd.Function):
    """clip(round(values / step) + zero point), as if it were clip(values / step + zero point)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, step: Tensor, zero_point: Tensor, low: Bound, high: Bound) -> Tensor:
        codes = torch.round(values / step).add_(zero_point)
        inside = (codes >= low) & (codes <= high)
        ctx.save_for_backward(values, step, inside)
        return codes.clamp_(low, high)  # type: ignore[arg-type]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, step, inside = ctx.saved_tensors
        to_values = torch.where(inside, gradient, 0).div_(step)
        to_step = None
        if ctx.needs_input_grad[1]:
            to_step = (to_values * values).div_(step).neg_().sum_to_size(step.shape)
        return to_values, to_step, None, None, None


def quantize(values: Tensor, step: Tensor, zero_point: Tensor, low: Bound, high: Bound) -> Tensor:
    """Codes of values, as floats: ties to even, clipped to ``low`` and ``high``, both included.

    Values that are clipped get no gradient. With :func:`dequantize` behind it, the gradient of the step is that of
    learned step size quantization: round(v / s) - v / s inside of the range, its end outside.

    Args:
        values: float32 of any shape.
        step: float32, broadcast over the values.
        zero_point: likewise.
        low: the least code, a number or a tensor of shape (), as ``high`` is.
        high: the largest code.

    >>> step = torch.tensor(0.5, requires_grad=True)
    >>> values = torch.tensor([0.6, 9.0], requires_grad=True)
    >>> codes = quantize(values, step, torch.tensor(0.0), 0, 3)
    >>> codes.tolist()
    [1.0, 3.0]
    >>> dequantize(codes, step, torch.tensor(0.0)).sum().backward()
    >>> values.grad.tolist(), round(step.grad.item(), 4)
    ([1.0, 0.0], 2.8)
    """
    found: Tensor = _Quantize.apply(values, step, zero_point, low, high)  # type: ignore[no-untyped-call]
    return found


def dequantize(codes: Tensor, step: Tensor, zero_point: Tensor) -> Tensor:
    """The floats that codes stand for: (codes - zero point) * step."""
    return (codes - zero_point) * step
