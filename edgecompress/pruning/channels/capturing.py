"""Capture for structured pruning: the network in evaluation, and in training where that uses parameters of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgecompress.errors import USER_CODE_FAILS, ModelError, first_line
from edgecompress.modules.copies import frozen
from edgecompress.pruning.structure.analysis import unused_tensors
from edgecompress.pruning.structure.data_dependent import pin_sizes
from edgecompress.system.quiet import quiet_torch


@dataclass(frozen=True, kw_only=True)
class Captured:
    """A network as ``torch.export`` captures it.

    Attributes:
        evaluation: the program in evaluation mode.
        training: that in training, where some parameters take part only in training, and it can be captured.
        fault: why it cannot.
    """

    evaluation: ExportedProgram
    training: ExportedProgram | None = None
    fault: str = ""


def capture_modes(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Captured:
    """Capture a network in evaluation, and in training if evaluation leaves parameters unused.

    Args:
        module: not modified.
        args: example inputs by position.
        kwargs: example inputs by name.

    Raises:
        ModelError: ``torch.export`` cannot capture it in evaluation mode.
    """
    try:
        evaluation = _capture(frozen(module), args, kwargs)
    except USER_CODE_FAILS as error:
        raise ModelError(f"torch.export cannot capture the model: {first_line(error)}; simplify its forward") from error
    if not unused_tensors(evaluation):
        return Captured(evaluation=evaluation)
    try:
        return Captured(evaluation=evaluation, training=_capture_training(module, args, kwargs))
    except USER_CODE_FAILS as error:
        return Captured(evaluation=evaluation, fault=first_line(error))


def _capture_training(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ExportedProgram:
    """The program of a copy in training; twice as many samples where a single sample has no statistics."""
    learning = frozen(module).train()  # what changes in training, like running statistics, changes in the copy
    try:
        return _capture(learning, args, kwargs)
    except USER_CODE_FAILS:
        doubled = pytree.tree_map_only(Tensor, _doubled, (args, dict(kwargs)))
        return _capture(learning, *doubled)


def _doubled(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor]) if tensor.ndim else tensor


def _capture(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ExportedProgram:
    with torch.no_grad(), quiet_torch():
        return pin_sizes(torch.export.export(module, args, dict(kwargs)))
