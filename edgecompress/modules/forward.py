"""One forward pass on a user's example inputs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from edgecompress.errors import USER_CODE_FAILS, ModelError, first_line


def run_example(model: nn.Module, example_inputs: Any) -> Any:
    """The outputs of a model in evaluation mode, without gradients.

    Args:
        model: left in evaluation mode; a forward pass may change more of it, so give a copy.
        example_inputs: a tensor, a tuple of inputs, or a dict by input name; they go to the model's device.

    Raises:
        ModelError: the model does not run on them.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    placed = pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), example_inputs)
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return _call(model, placed)
    except USER_CODE_FAILS as error:
        raise ModelError(
            f"{type(model).__name__} does not run on example_inputs: {first_line(error)};"
            " give inputs as its forward takes them"
        ) from error


def _call(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs) if _takes(model, inputs) else model(inputs)
    return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)


def _takes(model: nn.Module, inputs: Mapping[str, Any]) -> bool:
    """Whether these are names of inputs; otherwise ``forward`` takes the dict itself."""
    parameters = inspect.signature(model.forward).parameters
    variadic = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return variadic or all(name in parameters for name in inputs)
