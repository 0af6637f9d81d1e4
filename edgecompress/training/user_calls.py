"""Calls of a user's own network and loss, whose faults are named with the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from edgecompress.errors import USER_CODE_FAILS, InputError, ModelError, first_line
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
