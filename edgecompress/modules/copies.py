"""Copies of a module: one to work on, and one whose weights nothing can train."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgecompress.errors import USER_CODE_FAILS, ModelError, first_line


def copied(model: nn.Module) -> nn.Module:
    """A deep copy, masks included; tensors that a layer has computed (hooks leave them) are cut from their graphs.

    Raises:
        ModelError: the model cannot be copied.
    """
    return _copied(model, {})


def frozen(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode that shares its weights with the model, and that no gradient flows into.

    A program that is captured from trainable weights takes other roads through attention, which ONNX lacks.

    Raises:
        ModelError: the model cannot be copied.
    """
    shared = {id(parameter): nn.Parameter(parameter.detach(), requires_grad=False) for parameter in model.parameters()}
    return _copied(model, shared).eval()


def unshare_class(module: nn.Module) -> None:
    """Give a parametrized module a class of its own.

    PyTorch puts the property of a parametrization on a class that deep copies share, so that to add or to
    remove one would break every copy of the module.
    """
    if parametrize.is_parametrized(module):
        shared = type(module)
        body = {key: value for key, value in vars(shared).items() if key not in ("__dict__", "__weakref__")}
        module.__class__ = type(shared.__name__, shared.__bases__, body)


def _copied(model: nn.Module, known: Mapping[int, Tensor]) -> nn.Module:
    # deepcopy refuses tensors of a graph.
    computed = {id(tensor): tensor.detach().clone() for tensor in _attributes(model) if not tensor.is_leaf}
    try:
        return copy.deepcopy(model, {**computed, **known})
    except USER_CODE_FAILS as error:
        raise ModelError(
            f"{type(model).__name__} cannot be copied (copy.deepcopy): {first_line(error)}; make it copyable"
        ) from error


def _attributes(model: nn.Module) -> Iterable[Tensor]:
    return (value for part in model.modules() for value in vars(part).values() if isinstance(value, Tensor))
