"""Plain networks: without what wraps a module to run it otherwise, and with weights in the place of their norms."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.parametrizations import _SpectralNorm, _WeightNorm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from edgecompress.modules.copies import copied, unshare_class
from edgecompress.step import StepResult

PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
PARAMETRIZATIONS: dict[type[nn.Module], str] = {_WeightNorm: "weight norm", _SpectralNorm: "spectral norm"}
LOADERS = tuple(norm.__module__ for norm in (_WeightNorm, SpectralNorm))
"""Modules of PyTorch that define the hooks which read the state dict of a norm."""

Fold = Callable[[], object]


def unwrapped(network: Any) -> Any:
    """The module inside of ``nn.DataParallel``, ``DistributedDataParallel`` and ``torch.compile``; else what was given.

    >>> unwrapped(nn.DataParallel(nn.ReLU()))
    ReLU()
    """
    while isinstance(network, PARALLEL) or _is_compiled(network):
        network = network._orig_mod if _is_compiled(network) else network.module
    return network


def _is_compiled(network: Any) -> bool:
    """Whether ``torch.compile`` made it; what does so takes a second to import, and is there where it was used."""
    dynamo = sys.modules.get("torch._dynamo")
    return dynamo is not None and isinstance(network, dynamo.OptimizedModule)


def plain_copy(model: nn.Module) -> StepResult[nn.Module]:
    """A copy that computes the same, none of its parts wrapped, and its weights plain where a norm made them.

    Weight norm and spectral norm are folded, whichever of PyTorch's two ways they were made in; the weights are those
    of evaluation mode.

    Returns:
        The copy, and a line for each weight that a norm was folded into.

    Raises:
        ModelError: the model cannot be copied.
    """
    plain = unwrapped(copied(model))
    for part in list(plain.modules()):
        for name, child in part._modules.items():
            part._modules[name] = unwrapped(child)  # not by setattr, which a compiled module passes on
    changes = tuple(normed_weights(plain))
    for part in list(plain.modules()):
        _fold(part)
    return StepResult(model=plain, changes=changes)


def normed_weights(model: nn.Module) -> Iterator[str]:
    """A line for each weight that a norm makes, and that a plain copy has folded."""
    for name, part in model.named_modules():
        for tensor_name, norm, _ in _norms(part):
            yield f"{name}.{tensor_name}: its {norm} is folded into plain weights".lstrip(".")


def _norms(module: nn.Module) -> Iterator[tuple[str, str, Fold]]:
    """The tensors that norms make: name, norm, and what folds it."""
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            yield hook.name, "weight norm", partial(remove_weight_norm, module, hook.name)
        elif isinstance(hook, SpectralNorm):
            yield hook.name, "spectral norm", partial(remove_spectral_norm, module, hook.name)
    for name, chain in list(_chains(module).items()):
        norms = [PARAMETRIZATIONS.get(type(child)) for child in chain.children()]
        if None not in norms:
            yield name, " and ".join(filter(None, norms)), partial(_unparametrize, module, name)


def _chains(module: nn.Module) -> nn.ModuleDict:
    chains = module.parametrizations if parametrize.is_parametrized(module) else nn.ModuleDict()
    assert isinstance(chains, nn.ModuleDict)
    return chains


def _unparametrize(module: nn.Module, name: str) -> None:
    _chains(module)[name].eval()  # else spectral norm goes on looking for the largest singular value
    unshare_class(module)
    parametrize.remove_parametrizations(module, name)


def _fold(module: nn.Module) -> None:
    """Write what the norms make in the place of what they make it from, to be trained if that is."""
    for name, _, fold in list(_norms(module)):
        trained = any(parameter.requires_grad for key, parameter in module.named_parameters() if name in key)
        fold()
        getattr(module, name).requires_grad_(trained)
        for key, hook in list(module._load_state_dict_pre_hooks.items()):  # PyTorch leaves them
            if getattr(hook, "hook", hook).__module__ in LOADERS:
                del module._load_state_dict_pre_hooks[key]
