"""Layers in a row, in the place of the one that low rank took apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from torch import nn

from edgecompress.pruning.reload.blueprint import KINDS, Factor
from edgecompress.pruning.reload.file_header import Stored

Layer = nn.Linear | nn.Conv1d | nn.Conv2d


def is_layer(module: nn.Module) -> TypeGuard[Layer]:
    """Whether a module is one that low rank takes apart."""
    return type(module) in KINDS.values()


def make_row(path: str, layer: Layer, factors: Sequence[Factor], stored: Stored) -> nn.Sequential:
    """The layers in the dtype, on the device, in the mode and as trainable as the one; their values are not set.

    Raises:
        ModelError: a layer is larger than what the file holds of it, or none that PyTorch knows.
    """
    made = []
    for number, factor in enumerate(factors):
        part = _on_meta(path, layer, factor, stored)
        _check(f"{path}.{number}".lstrip("."), part, stored)
        made.append(part.to_empty(device=layer.weight.device))
        for own, tensor in made[-1].named_parameters():
            tensor.requires_grad_(getattr(layer, own).requires_grad)
    return nn.Sequential(*made).train(layer.training)


def _on_meta(path: str, layer: Layer, factor: Factor, stored: Stored) -> Layer:
    """One of them, where it takes no memory."""
    if factor.bias and layer.bias is None:
        raise stored.misfit(f"{path!r} has no bias")
    made: dict[str, Any] = {"bias": factor.bias, "device": "meta", "dtype": layer.weight.dtype}
    if factor.kind != "Linear":
        made |= {"kernel_size": factor.kernel, "stride": factor.stride, "padding": factor.padding}
        made |= {"dilation": factor.dilation, "groups": factor.groups, "padding_mode": factor.padding_mode}
    try:
        return KINDS[factor.kind](factor.inputs, factor.outputs, **made)
    except (ValueError, RuntimeError, TypeError, ZeroDivisionError):
        raise stored.misfit(f"{path!r} has parts that PyTorch does not know") from None


def _check(name: str, part: Layer, stored: Stored) -> None:
    for own, tensor in part.named_parameters():
        held = (f"{name}.{own}", f"{name}.parametrizations.{own}.original")
        if tuple(tensor.shape) not in [stored.shapes.get(key) for key in held]:
            raise stored.misfit(f"'{name}.{own}' is not of the size that its layer has")
