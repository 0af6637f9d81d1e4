"""What comes in as a model: taken out of its wrappers, and refused where it is no module or has no values."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import onnx_ir as ir
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn.parameter import is_lazy

from edgecompress.errors import ModelError, a_kind
from edgecompress.modules.plain import unwrapped
from edgecompress.modules.torchscript import IN_ITS_PLACE, OR_ONNX, refuse_torchscript

if TYPE_CHECKING:
    from edgecompress.runtime import Network


def check_network(network: Any) -> Network:
    """What can be exported: a module, out of its wrappers, a program, or an ONNX model.

    Raises:
        ModelError: it is none of these, or a module without values.
    """
    if isinstance(network, (ExportedProgram, ir.Model)):
        return network
    if isinstance(unwrapped(network), nn.Module):
        return check_module(network, OR_ONNX)
    _refuse_near(network, "model")
    raise ModelError(
        f"the model is {a_kind(network)}; give a torch.nn.Module, a torch.export.ExportedProgram or an onnx_ir.Model"
    )


def check_module(model: Any, advice: str = IN_ITS_PLACE) -> nn.Module:
    """A module that can be worked on, out of its wrappers.

    Args:
        model: what was given.
        advice: what to give in the place of TorchScript.

    Raises:
        ModelError: it is no module, or a parameter has no shape or no values yet.
    """
    module = require_module("model", model, advice)
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            raise ModelError(f"{name!r} has no shape yet; run the model once")
        if parameter.is_meta:
            raise ModelError(f"{name!r} is on the meta device and has no values; load the weights first")
    return module


def check_teacher(teacher: Any, student: Any) -> nn.Module:
    """A teacher, out of its wrappers.

    Raises:
        ModelError: it is no module, or the student itself.
    """
    module = require_module("teacher", teacher)
    if module is unwrapped(student):
        raise ModelError("teacher and student are the same module; give a copy, or a smaller network, as student")
    return module


def require_module(role: str, network: Any, advice: str = IN_ITS_PLACE) -> nn.Module:
    """A module, out of its wrappers.

    Raises:
        ModelError: it is none, or TorchScript, with the part that it was to play.
    """
    module = unwrapped(network)
    refuse_torchscript(module, f"the {role} is", advice)
    if not isinstance(module, nn.Module):
        _refuse_near(network, role)
        raise ModelError(f"the {role} is {a_kind(network)}; give a torch.nn.Module")
    return module


def _refuse_near(network: Any, role: str) -> None:
    """Refuse what makes a module, or belongs to one."""
    name = getattr(network, "__name__", "")
    if isinstance(network, type) and issubclass(network, nn.Module):
        raise ModelError(f"the {role} is the class {name}; create an instance, and load its weights (load_state_dict)")
    if inspect.isroutine(network):
        raise ModelError(f"the {role} is the function {name}; call it, and give the module that it returns")
    if isinstance(network, Mapping) and any(isinstance(value, Tensor) for value in network.values()):
        raise ModelError(f"the {role} is a state dict; load it into a module (load_state_dict), and give that")
