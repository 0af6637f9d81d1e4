"""Masks: weights that are held at zero, whatever an optimizer does to the tensor below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgecompress.errors import OUR_FAULT, EdgecompressError, ModelError
from edgecompress.modules.copies import copied, unshare_class

Holder = tuple[nn.Module, str]
"""A module, and the name under which it holds a tensor."""


class Mask(nn.Module):
    """A parametrization that lets through what ``keep`` says, and is zero elsewhere.

    The layer computes with ``where(keep, original, 0)``, so that momentum and weight decay reach only ``original``,
    and its gradient is zero where nothing is kept. ``keep`` (bool, shape of the weight) is a buffer, and so part of
    ``state_dict``.
    """

    keep: Tensor

    def __init__(self, keep: Tensor) -> None:
        super().__init__()
        self.register_buffer("keep", keep)

    def forward(self, original: Tensor) -> Tensor:
        """The weight as the layer sees it; unlike a product, it is zero also where ``original`` is not finite."""
        return torch.where(self.keep, original, 0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What to store when a user assigns the weight: all of it, the mask stays."""
        return weight


def mask_of(module: nn.Module, tensor_name: str) -> Mask | None:
    """The mask of a tensor; None where it has none, or has other parametrizations, too."""
    chain = _chain(module, tensor_name)
    mask = chain[0] if len(chain) == 1 else None
    return mask if isinstance(mask, Mask) else None


def masked_tensors(model: nn.Module) -> Iterator[tuple[str, Holder]]:
    """The tensors that have a mask, by their names in the unmasked model."""
    for module_name, module in model.named_modules():
        for tensor_name in getattr(module, "parametrizations", ()):
            if any(isinstance(parametrization, Mask) for parametrization in _chain(module, tensor_name)):
                yield f"{module_name}.{tensor_name}".lstrip("."), (module, tensor_name)


def set_mask(holders: Sequence[Holder], keep: Tensor) -> None:
    """Mask one tensor in every module that holds it; what an earlier mask pruned stays pruned.

    Args:
        holders: each without parametrizations on that tensor, or with only a mask.
        keep: bool, shape of the tensor.
    """
    masks = [mask for holder in holders if (mask := mask_of(*holder))]
    if not masks:
        original = getattr(*holders[0])
        masks = [Mask(torch.empty_like(original, dtype=torch.bool).copy_(keep))]
    for mask in masks:
        keep = keep.to(mask.keep.device) & mask.keep
    for mask in masks:
        mask.keep.copy_(keep)
    for module, tensor_name in holders:
        if mask_of(module, tensor_name) is None:
            unshare_class(module)
            parametrize.register_parametrization(module, tensor_name, masks[0])


def make_permanent(model: nn.Module) -> tuple[str, ...]:
    """Write the zeros into the plain weights, and take the masks away.

    Every parameter stays the object that an optimizer knows.

    Returns:
        The names of the weights that had a mask.

    Raises:
        ModelError: a weight has a mask and another parametrization; nothing was changed.
        EdgecompressError: a weight that was pruned is not zero.
    """
    masked = list(masked_tensors(model))
    for name, (module, tensor_name) in masked:
        if mask_of(module, tensor_name) is None:
            raise ModelError(f"{name!r} has a mask and another parametrization; remove that one first")
    for name, (module, tensor_name) in masked:
        mask = mask_of(module, tensor_name)
        assert mask is not None
        _write_zeros(module, tensor_name)
        if getattr(module, tensor_name)[~mask.keep].any():
            raise EdgecompressError(f"{name!r} is not zero where its mask is; {OUR_FAULT}")
    return tuple(name for name, _ in masked)


def permanent_copy(model: nn.Module) -> nn.Module:
    """A copy that computes the same, with plain weights.

    Raises:
        ModelError: the model cannot be copied.
    """
    duplicate = copied(model)
    make_permanent(duplicate)
    return duplicate


def _chain(module: nn.Module, tensor_name: str) -> list[nn.Module]:
    if not parametrize.is_parametrized(module, tensor_name):
        return []
    assert isinstance(module.parametrizations, nn.ModuleDict)
    return list(module.parametrizations[tensor_name].children())


def _write_zeros(module: nn.Module, tensor_name: str) -> None:
    mask = mask_of(module, tensor_name)
    assert mask is not None
    assert isinstance(module.parametrizations, nn.ModuleDict)
    original = module.parametrizations[tensor_name].original
    assert isinstance(original, Tensor)
    with torch.no_grad():
        original.masked_fill_(~mask.keep, 0)
    unshare_class(module)
    parametrize.remove_parametrizations(module, tensor_name, leave_parametrized=False)
