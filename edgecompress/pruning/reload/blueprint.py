"""A blueprint: what pruning made of a network, as data from which a fresh instance of its class becomes the same.

It says what the network is, not what was done to it: networks that were pruned several times, in one run or in many,
have a blueprint like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from edgecompress.errors import ModelError
from edgecompress.pruning.blocks import Shortcut
from edgecompress.pruning.masks.mask import mask_of, masked_tensors
from edgecompress.pruning.storage import named_tensors

Size = int | tuple[int, ...]
KINDS: Mapping[str, type[nn.Linear | nn.Conv1d | nn.Conv2d]] = {
    "Linear": nn.Linear,
    "Conv1d": nn.Conv1d,
    "Conv2d": nn.Conv2d,
}
"""Layers that low rank makes, and that it takes apart."""


class Factor(BaseModel):
    """One of the layers in a row that took the place of one; ``kernel`` and what follows are a convolution's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["Linear", "Conv1d", "Conv2d"]
    inputs: int
    outputs: int
    bias: bool
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] | Literal["same", "valid"] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"


class Blueprint(BaseModel):
    """What a network is beyond its class and the values of its tensors.

    Attributes:
        sizes: module path -> attribute -> whole number; of PyTorch's own layers also tuples of them.
        shortcuts: the paths of removed blocks.
        factors: module path -> the layers in the place of one.
        masks: the names of masked tensors, as in the unmasked network.
        shared: the second and further names of tensors -> the first.
        transient: the buffers that are no part of the state dict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sizes: dict[str, dict[str, Size]]
    shortcuts: tuple[str, ...]
    factors: dict[str, tuple[Factor, ...]]
    masks: tuple[str, ...]
    shared: dict[str, str]
    transient: tuple[str, ...]


def blueprint_of(module: nn.Module) -> Blueprint:
    """The blueprint of a network.

    Raises:
        ModelError: it holds what neither a blueprint nor a tensor can say: extra state, or a mask and another
            parametrization.
    """
    parts = dict(_own_modules(module))
    for path, part in parts.items():
        if type(part).get_extra_state is not nn.Module.get_extra_state:
            raise ModelError(f"{path!r} keeps extra state, which no safetensors file holds; keep it in a buffer")
    return Blueprint(
        sizes={path: found for path, part in parts.items() if (found := sizes_of(part))},
        shortcuts=tuple(path for path, part in parts.items() if isinstance(part, Shortcut)),
        factors={path: row for path, part in parts.items() if (row := _factors(part))},
        masks=tuple(_masks(module)),
        shared=_shared(module),
        transient=transient_buffers(module),
    )


def sizes_of(part: nn.Module) -> dict[str, Size]:
    """The attributes of a module in which sizes can stand, by name."""
    names = vars(part).items()
    tuples = is_torch_layer(part)
    return {name: value for name, value in names if type(value) is int or (tuples and _is_tuple_of_sizes(value))}


def is_torch_layer(part: nn.Module) -> bool:
    """Whether a module is one of PyTorch's own layers, and not the user's."""
    return type_before_parametrizations(part).__module__.startswith("torch.nn.")


def transient_buffers(module: nn.Module) -> tuple[str, ...]:
    """The names of buffers that are no part of the state dict."""
    return tuple(
        f"{path}.{name}".lstrip(".")
        for path, part in module.named_modules(remove_duplicate=False)
        for name in sorted(part._non_persistent_buffers_set)
    )


def _own_modules(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((path, part) for path, part in module.named_modules() if "parametrizations" not in path.split("."))


def _is_tuple_of_sizes(value: object) -> bool:
    return isinstance(value, tuple) and all(type(size) is int for size in value)


def _factors(part: nn.Module) -> tuple[Factor, ...]:
    """The layers of a row as low rank makes it; nothing for other modules."""
    children = list(part.children())
    if type(part) is not nn.Sequential or len(children) < 2:
        return ()
    kinds = [type_before_parametrizations(child) for child in children]
    return tuple(map(_factor, children)) if all(kind in KINDS.values() for kind in kinds) else ()


def _factor(layer: nn.Module) -> Factor:
    if isinstance(layer, nn.Linear):
        return Factor(kind="Linear", inputs=layer.in_features, outputs=layer.out_features, bias=layer.bias is not None)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    return Factor(
        kind="Conv1d" if isinstance(layer, nn.Conv1d) else "Conv2d",
        inputs=layer.in_channels,
        outputs=layer.out_channels,
        bias=layer.bias is not None,
        kernel=layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,  # type: ignore[arg-type]
        dilation=layer.dilation,
        groups=layer.groups,
        padding_mode=layer.padding_mode,
    )


def _masks(module: nn.Module) -> Iterator[str]:
    for name, holder in masked_tensors(module):
        if mask_of(*holder) is None:
            raise ModelError(f"{name!r} has a mask and another parametrization; remove that one first")
        yield name


def _shared(module: nn.Module) -> dict[str, str]:
    first: dict[int, str] = {}
    names = {name: first.setdefault(id(tensor), name) for name, tensor in named_tensors(module).items()}
    return {name: original for name, original in names.items() if name != original}
