"""What a front end refuses at once: something that is no module, or a module without values."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from edgecompress.errors import ModelError


def check_module(model: Any) -> None:
    """Refuse what cannot be worked on.

    Raises:
        ModelError: it is no module, or a parameter has no shape or no values yet.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"the model is a {type(model).__name__}; give a torch.nn.Module")
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ModelError(f"{name!r} has no shape yet; run the model once")
        if parameter.is_meta:
            raise ModelError(f"{name!r} is on the meta device and has no values; load the weights first")
