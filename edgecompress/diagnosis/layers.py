"""Layers: what holds weights in a model or an artifact, and what each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: ``shape`` is that of its largest constant, ``bytes`` what all of them occupy.

    ``macs`` are the multiply-accumulates of one call, ``share`` its part of the time that the profiler saw, 0 to 1;
    None where that is not known.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    precision: str
    parameters: int
    bytes: int
    macs: int | None = None
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The layers in their order, and what is not theirs.

    ``other_macs`` are of products without weights, attention's for one; ``latency_ms`` is the sum of ONNX Runtime's
    operators for a call; ``other_share`` of it went to operators without weights; None where nothing was counted
    or timed. ``notes`` say what was left out, and why.
    """

    layers: tuple[Layer, ...]
    other_macs: int | None = None
    latency_ms: float | None = None
    other_share: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int | None:
        """All that was counted."""
        return None if self.other_macs is None else self.other_macs + sum(layer.macs or 0 for layer in self.layers)

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {**asdict(self), "macs": self.macs}


def module_layers(module: nn.Module) -> list[Layer]:
    """The parts of a module that have parameters of their own."""
    layers = []
    for name, part in module.named_modules():
        own = dict(part.named_parameters(recurse=False))
        if own:
            layers.append(tensor_layer(name or "(model)", type(part).__name__, own))
    return layers


def tensor_layer(name: str, kind: str, tensors: Mapping[str, torch.Tensor]) -> Layer:
    """The layer that holds these tensors."""
    largest = max(tensors.values(), key=torch.Tensor.numel)
    return Layer(
        name=name,
        kind=kind,
        shape=tuple(largest.shape),
        precision=str(largest.dtype).removeprefix("torch."),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()),
    )
