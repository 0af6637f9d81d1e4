"""The layers that take the place of one: plain linear layers or convolutions in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from edgecompress.low_rank.truncated_svd import Matrix

Layer = nn.Linear | nn.Conv1d | nn.Conv2d


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the layers: its weight in the shape that PyTorch wants, and a convolution's stride, padding, dilation."""

    weight: Matrix
    settings: Mapping[str, Any] = field(default_factory=dict)


def weight_of(layer: Layer) -> Matrix:
    """A layer's weight in float64."""
    weight: Matrix = layer.weight.detach().cpu().to(torch.float64).numpy()
    return weight


def assemble(layer: Layer, parts: Sequence[Part], shift: Matrix | None = None) -> nn.Sequential:
    """The parts in a row, in the dtype, on the device, in the mode and as trainable as the layer.

    Args:
        layer: whose place they take; its bias goes to the last of them.
        parts: in the order in which they run.
        shift: added to the bias, shape (outputs,).
    """
    made = [_made(layer, part, bias=False) for part in parts[:-1]]
    last = _made(layer, parts[-1], bias=layer.bias is not None)
    if layer.bias is not None:
        assert last.bias is not None
        bias = layer.bias.detach().cpu().to(torch.float64).numpy() + (0.0 if shift is None else shift)
        _fill(last.bias, bias, layer.bias)
    return nn.Sequential(*made, last).train(layer.training)


def _made(layer: Layer, part: Part, *, bias: bool) -> Layer:
    outputs, inputs, *kernel = part.weight.shape
    sizes = (inputs, outputs, tuple(kernel)) if kernel else (inputs, outputs)
    modes = {"padding_mode": layer.padding_mode} if not isinstance(layer, nn.Linear) else {}
    where = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    # skip_init draws no random weights, which would move the user's own random numbers on.
    made: Layer = skip_init(type(layer), *sizes, bias=bias, **part.settings, **modes, **where)  # type: ignore[no-untyped-call]
    _fill(made.weight, part.weight, layer.weight)
    return made


def _fill(parameter: Tensor, value: Matrix, like: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    parameter.requires_grad_(like.requires_grad)
