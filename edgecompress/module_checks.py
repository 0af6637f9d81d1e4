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
    require_module("model", model)
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ModelError(f"{name!r} has no shape yet; run the model once")
        if parameter.is_meta:
            raise ModelError(f"{name!r} is on the meta device and has no values; load the weights first")


def check_teacher(teacher: Any, student: Any) -> None:
    """Refuse a teacher that cannot teach.

    Raises:
        ModelError: it is no module, or the student itself.
    """
    require_module("teacher", teacher)
    if teacher is student:
        raise ModelError("teacher and student are the same module; give a copy, or a smaller network, as student")


def require_module(role: str, network: Any) -> None:
    """Refuse what is no module.

    Raises:
        ModelError: with the part that it was to play.
    """
    if not isinstance(network, nn.Module):
        raise ModelError(f"the {role} is a {type(network).__name__}; give a torch.nn.Module")
