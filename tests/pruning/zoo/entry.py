"""A network of the zoo, with what a careful engineer would expect to be able to remove from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Inputs = tuple[Tensor, ...] | dict[str, Tensor]

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One network.

    Attributes:
        build: the network, with PyTorch's own initial weights.
        draw: inputs from PyTorch's global generator; the same shapes each time.
        groups: the groups that have to be found, with the number of their units.
        whole: the layers that have to be named as left whole.
    """

    build: Callable[[], nn.Module]
    draw: Callable[[], Inputs]
    groups: Mapping[str, int]
    whole: tuple[str, ...]

    def network(self, seed: int = 0) -> nn.Module:
        """The network in evaluation mode with random weights, none of which is 0 or 1 by accident."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return randomize(self.build()).eval()

    def inputs(self, seed: int = 0) -> Inputs:
        """Random inputs."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.draw()


def images(*shape: int) -> Callable[[], Inputs]:
    """One float32 tensor of this shape, whose rows and channels differ in their means: no average is empty."""
    return lambda: (torch.randn(shape) + torch.randn(*shape[:2], *[1] * (len(shape) - 2)),)


def tokens(vocabulary: int, *shape: int) -> Callable[[], Inputs]:
    """One int64 tensor of this shape."""
    return lambda: (torch.randint(0, vocabulary, shape),)


@torch.no_grad()
def randomize(network: nn.Module) -> nn.Module:
    """Random weights, statistics and affine parameters, scaled so that signals neither die nor explode."""
    for parameter in network.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.normal_(0, 1.8 / math.sqrt(fan_in))
    for part in network.modules():
        if isinstance(part, nn.Embedding):
            part.weight.normal_()
        if isinstance(part, _NORMS) or type(part).__name__.endswith("RMSNorm"):
            if getattr(part, "weight", None) is not None:
                part.weight.uniform_(0.5, 1.5)  # type: ignore[operator]
            if getattr(part, "running_mean", None) is not None:
                part.running_mean.normal_(0, 0.1)  # type: ignore[operator]
                part.running_var.uniform_(0.5, 1.5)  # type: ignore[operator]
    return network
