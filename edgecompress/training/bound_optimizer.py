"""Optimizers that a user made for a network's own parameters, taken over by a copy of both."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

from torch import nn
from torch.optim import Optimizer

from edgecompress.errors import ModelError, RecipeError

Maker = TypeVar("Maker")


def copied_together(network: nn.Module, optimizer: Maker) -> tuple[nn.Module, Maker]:
    """A copy of a network, and of an optimizer that is bound to its parameters: the copy is bound to the copy's.

    State, groups, learning rates and weight decays are copied with it. What is no optimizer yet is handed back as it
    is.

    Raises:
        RecipeError: the optimizer holds a parameter that the network does not have.
    """
    memo: dict[int, Any] = {}
    copied = copy.deepcopy(network, memo)
    if not isinstance(optimizer, Optimizer):
        return copied, optimizer
    _check_owned(network, optimizer)
    bound = copy.deepcopy(optimizer, memo)
    # Optimizers pickle no attributes of their own; step is one where a scheduler has wrapped it, for the original.
    missing = vars(optimizer).keys() - vars(bound).keys() - {"step"}
    vars(bound).update({name: copy.deepcopy(vars(optimizer)[name], memo) for name in sorted(missing)})
    return copied, bound


def freeze_others(network: nn.Module, optimizer: Optimizer) -> None:
    """Parameters that the optimizer does not hold collect no gradient.

    Raises:
        ModelError: none of those that it holds requires one.
    """
    held = {id(parameter) for parameter in _parameters(optimizer)}
    for parameter in network.parameters():
        if id(parameter) not in held:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ModelError("the optimizer holds no parameter to train; set requires_grad on some")


def add_parameters(optimizer: Optimizer, parts: nn.Module) -> None:
    """A group of the parameters of ``parts``, with the optimizer's defaults."""
    named = list(parts.named_parameters())
    if named:
        with_names = "param_names" in optimizer.param_groups[0]
        optimizer.add_param_group({"params": named if with_names else [parameter for _, parameter in named]})


def _check_owned(network: nn.Module, optimizer: Optimizer) -> None:
    owned = {id(parameter) for parameter in network.parameters()}
    for parameter in _parameters(optimizer):
        if id(parameter) not in owned:
            raise RecipeError(
                f"the optimizer holds a parameter of shape {tuple(parameter.shape)} that {type(network).__name__}"
                " does not have; make it for the parameters of the network that is trained"
            )


def _parameters(optimizer: Optimizer) -> Iterable[nn.Parameter]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])
