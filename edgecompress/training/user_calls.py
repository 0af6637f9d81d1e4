"""Calls of a user's own network and loss, whose faults are named with the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from edgecompress.errors import USER_CODE_FAILS, InputError, ModelError, RecipeError, first_line
from edgecompress.modules.copies import copied
from edgecompress.system.randomness import own_randomness
from edgecompress.training.losses import Loss
from edgecompress.training.micro_batches import MicroBatch


def run_network(network: nn.Module, inputs: Mapping[str, Tensor], where: str) -> Any:
    """The network's outputs.

    Raises:
        ModelError: it fails.
    """
    try:
        return network(**inputs)
    except InputError as error:
        raise type(error)(f"{where}: {error}") from error
    except USER_CODE_FAILS as error:
        raise ModelError(
            f"{where}: the network fails: {type(error).__name__}: {first_line(error)}; repair its forward"
        ) from error


def run_loss(loss: Loss, outputs: Any, part: MicroBatch, where: str) -> Tensor:
    """The loss, one number.

    Raises:
        DataError: labels are missing or do not fit.
        ModelError: the loss fails, or is not one number.
    """
    try:
        value = loss(outputs, part.inputs, part.labels)
    except InputError as error:
        raise type(error)(f"{where}: {error}") from error
    except USER_CODE_FAILS as error:
        raise ModelError(f"{where}: the loss fails: {type(error).__name__}: {first_line(error)}; repair it") from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ModelError(f"{where}: the loss is no single number; return the mean over the batch")
    return value


def try_out(network: nn.Module, loss: Loss, part: MicroBatch, where: str) -> None:
    """Find what is wrong with a loss before anything that takes long; no parameter gets a gradient.

    Args:
        network: a copy of it is run, in evaluation mode.
        loss: called with its outputs.
        part: samples, on the network's device.
        where: the batch, in messages.

    Raises:
        DataError: labels are missing or do not fit.
        ModelError: the network or the loss fails.
        RecipeError: a loss of the user's own fails, has no gradient, or is not finite before anything was learned.
    """
    with own_randomness(), torch.enable_grad():
        value = run_loss(loss, run_network(copied(network).eval(), part.inputs, where), part, where).detach()
    if not math.isfinite(value):
        raise RecipeError(
            f"{where}: the loss is {float(value)} before the first step; look at that batch and at what the network"
            " answers to it, or repair the loss"
        )
