"""What a pruned network has to compute, from the original module alone: its removed channels silenced.

It shares nothing with the analysis: the weights that were removed are zero, and a normalization over channels takes
its statistics from those that are left.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from tests.pruning.zoo.entry import Inputs

Removed = Mapping[str, Mapping[int, Tensor]]


class KeptForward:
    """The forward of a normalization over channels that sees the kept ones alone; the others are zero after it."""

    def __init__(self, norm: Any, removed: Mapping[int, Tensor]) -> None:
        self.norm = norm
        self.kept = {axis: _others(norm.weight.shape[axis], gone) for axis, gone in removed.items()}

    def __call__(self, x: Tensor) -> Tensor:
        first = 1 if isinstance(self.norm, nn.GroupNorm) else x.ndim - self.norm.weight.ndim
        part = x
        for axis, kept in self.kept.items():
            part = part.index_select(first + axis, kept)
        result = self._normalize(part)
        for axis, kept in self.kept.items():
            shape = [*result.shape]
            shape[first + axis] = x.shape[first + axis]
            result = torch.zeros(shape).index_copy(first + axis, kept, result)
        return result

    def _normalize(self, part: Tensor) -> Tensor:
        norm = self.norm
        weight, bias = (self._cut(getattr(norm, name, None)) for name in ("weight", "bias"))
        if isinstance(norm, nn.GroupNorm):
            groups = part.shape[1] if norm.num_groups == norm.num_channels else norm.num_groups
            return functional.group_norm(part, groups, weight, bias, norm.eps)
        assert weight is not None
        if isinstance(norm, nn.LayerNorm):
            return functional.layer_norm(part, list(weight.shape), weight, bias, norm.eps)
        eps = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
        return functional.rms_norm(part, list(weight.shape), weight, eps)

    def _cut(self, vector: Tensor | None) -> Tensor | None:
        for axis, kept in self.kept.items():
            vector = None if vector is None else vector.index_select(axis, kept)
        return vector


def _others(size: int, gone: Tensor) -> Tensor:
    stays = torch.ones(size, dtype=torch.bool)
    stays[gone] = False
    return stays.nonzero().flatten()


@torch.no_grad()
def silenced(module: nn.Module, removed: Removed) -> nn.Module:
    """A copy of the original in which the removed channels say nothing."""
    quiet = copy.deepcopy(module)
    tensors = {**dict(quiet.named_parameters(remove_duplicate=False)), **dict(quiet.named_buffers())}
    for name, axes in removed.items():
        for axis, indices in axes.items():
            tensors[name].index_fill_(axis, indices, 1.0 if name.endswith("running_var") else 0.0)
    for path, part in quiet.named_modules():
        axes = removed.get(f"{path}.weight", {})
        if axes and (isinstance(part, nn.LayerNorm | nn.GroupNorm) or type(part).__name__.endswith("RMSNorm")):
            part.forward = KeptForward(part, axes)
    return quiet


@torch.no_grad()
def run(module: nn.Module, inputs: Inputs) -> list[Tensor]:
    """The tensors that a module returns for inputs by position or by name."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it reads the weights of norms and never calls them
    try:
        outputs = module(**inputs) if isinstance(inputs, dict) else module(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def difference(first: nn.Module, other: nn.Module, inputs: Inputs) -> float:
    """The largest difference between two modules' outputs, as a share of the output's range."""
    pairs = zip(run(first, inputs), run(other, inputs), strict=True)
    return max(float((a - b).abs().max() / (b.max() - b.min())) for a, b in pairs)


def variation(module: nn.Module, first: Inputs, second: Inputs) -> float:
    """How much the outputs depend on the inputs: the least over the outputs, as a share of the output's range."""
    pairs = zip(run(module, first), run(module, second), strict=True)
    return min(float((a - b).abs().max() / (b.max() - b.min())) for a, b in pairs)
