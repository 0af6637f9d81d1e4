"""Rebuilding: a fresh instance of a class takes the form of a pruned network; every size is checked before it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from edgecompress.modules.plain import plain_copy
from edgecompress.pruning.blocks import Shortcut
from edgecompress.pruning.masks.mask import Holder, mask_of, set_mask
from edgecompress.pruning.reload.blueprint import Size, is_torch_layer, transient_buffers
from edgecompress.pruning.reload.factored_layers import is_layer, make_row
from edgecompress.pruning.reload.file_header import Stored
from edgecompress.pruning.storage import named_tensors

SIZES = frozenset(
    {
        *("in_channels", "out_channels", "groups", "in_features", "out_features", "num_embeddings", "embedding_dim"),
        *("num_features", "num_channels", "num_groups", "num_parameters", "normalized_shape"),
        *("embed_dim", "num_heads", "head_dim", "kdim", "vdim"),
    }
)
"""What pruning changes in PyTorch's own layers."""
SHOWN = 3


def rebuild(model: nn.Module, stored: Stored) -> nn.Module:
    """A copy of a network with the parts and attributes of the stored one; its tensors are still the old ones.

    Args:
        model: an instance of the class that was pruned; not modified.
        stored: what the file says.

    Raises:
        ModelError: it is another model's, or the model cannot be copied.
    """
    network = plain_copy(model).model
    for path in stored.blueprint.shortcuts:
        _module_at(network, path, stored)
        network = _put(network, path, Shortcut())
    for path, factors in stored.blueprint.factors.items():
        if is_layer(layer := _module_at(network, path, stored)):
            network = _put(network, path, make_row(path, layer, factors, stored))
    _set_masks(network, stored)
    for path, sizes in stored.blueprint.sizes.items():
        _set_sizes(_module_at(network, path, stored), path, sizes, stored)
    _check_tensors(network, stored)
    return network


def fill(network: nn.Module, values: Mapping[str, Tensor], shared: Mapping[str, str]) -> None:
    """Give a rebuilt network its tensors, in the dtype, on the device and as trainable as it has them.

    Args:
        network: modified; a tensor that two layers share stays shared.
        values: by first name.
        shared: further names -> the first.
    """
    done: dict[int, Tensor] = {}
    for name, tensor in named_tensors(network).items():
        source = shared.get(name, name)
        if source not in values:
            continue  # a buffer that is no part of the state dict, and that the class fills itself
        if id(tensor) not in done:
            done[id(tensor)] = _filled(tensor, values[source])
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, done[id(tensor)])


@torch.no_grad()
def _filled(tensor: Tensor, value: Tensor) -> Tensor:
    if tensor.shape == value.shape:
        return tensor.copy_(value)
    moved = value.to(tensor.device, tensor.dtype, copy=True)
    return nn.Parameter(moved, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else moved


def _module_at(network: nn.Module, path: str, stored: Stored) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError:
        raise stored.misfit(f"it has no module {path!r}") from None


def _put(network: nn.Module, path: str, module: nn.Module) -> nn.Module:
    """The network with another module at a path; the module itself where that is the root."""
    if not path:
        return module
    parent, _, own = path.rpartition(".")
    module.training = network.get_submodule(path).training
    network.get_submodule(parent).register_module(own, module)
    return network


def _set_masks(network: nn.Module, stored: Stored) -> None:
    """Masks that keep everything, where there are none yet, until the file's own take their place."""
    held: dict[int, list[Holder]] = {}
    for name in stored.blueprint.masks:
        path, _, own = name.rpartition(".")
        module = _module_at(network, path, stored)
        if not isinstance(tensor := getattr(module, own, None), Tensor):
            raise stored.misfit(f"it has no weight {name!r}")
        if mask_of(module, own) is None:
            held.setdefault(id(tensor), []).append((module, own))
    for holders in held.values():
        set_mask(holders, torch.ones_like(getattr(*holders[0]), dtype=torch.bool))


def _set_sizes(part: nn.Module, path: str, sizes: Mapping[str, Size], stored: Stored) -> None:
    """Let the whole numbers that a module has follow the file, where pruning may have made them smaller."""
    for name, new in sizes.items():
        old = vars(part).get(name, new)
        if old == new:
            continue
        if not (_is_smaller(new, old) and (name in SIZES or not is_torch_layer(part))):
            raise stored.misfit(f"{f'{path}.{name}'.lstrip('.')!r} is {new} in the file, and {old} here")
        setattr(part, name, new)


def _is_smaller(new: Size, old: object) -> bool:
    if isinstance(new, int):
        return type(old) is int and 0 <= new < old
    return isinstance(old, tuple) and len(old) == len(new) and all(map(_is_part, new, old))


def _is_part(new: int, old: object) -> bool:
    """Whether one axis of a tensor can have lost what it lacks."""
    return type(old) is int and min(old, 1) <= new <= old


def _check_tensors(network: nn.Module, stored: Stored) -> None:
    """Hold names and shapes against those of the network."""
    own, shared = named_tensors(network), stored.blueprint.shared
    transient = {*transient_buffers(network), *stored.blueprint.transient}
    named = {*stored.shapes, *shared}
    missing, extra = sorted(own.keys() - named - transient), sorted(named - own.keys() - transient)
    if missing or extra:
        told = [f"{word}: {_some(names)}" for word, names in (("missing", missing), ("unexpected", extra)) if names]
        raise stored.misfit("; ".join(told))
    sources: dict[int, str] = {}
    for name in sorted(own.keys() & named):
        source = shared.get(name, name)
        if name not in transient:
            _check_tensor(name, own[name], source, stored)
        other = sources.setdefault(id(own[name]), source)
        if other != source:
            raise stored.misfit(f"{other!r} and {name!r} are one tensor here, and two in the file")


def _check_tensor(name: str, tensor: Tensor, source: str, stored: Stored) -> None:
    new, old = stored.shapes.get(source, ()), tuple(tensor.shape)
    if len(new) != len(old) or not all(map(_is_part, new, old)):
        raise stored.misfit(f"{name!r} has shape {new} in the file, and {old} here")
    if tensor.is_floating_point() != (source in stored.floating):
        raise stored.misfit(f"{name!r} holds {tensor.dtype} here, and numbers of another kind in the file")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
