"""The weights of a model that can be pruned, each once, with all the modules that share it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from edgecompress.errors import ModelError
from edgecompress.pruning.masks.layers import EMBEDDINGS, Layout, layout
from edgecompress.pruning.masks.mask import Holder, mask_of
from edgecompress.step import Refusal

_UNKNOWN = "pruning takes the weights of convolutions, linear layers, attention and embeddings"


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A tensor that can be masked.

    ``name`` is its first name in the unmasked model; ``modules`` are the names of all modules that hold it.
    """

    name: str
    modules: tuple[str, ...]
    holders: tuple[Holder, ...]
    role: Literal["layer", "classifier", "embedding"]
    layout: Layout

    @property
    def kind(self) -> str:
        """The type of the first module."""
        return _kind(self.holders[0][0])

    @property
    def value(self) -> Tensor:
        """The weight as its layers see it, without gradient."""
        tensor: Tensor = getattr(*self.holders[0])
        return tensor.detach()

    @property
    def masked(self) -> bool:
        """Whether a mask holds some of it at zero."""
        return any(mask_of(*holder) for holder in self.holders)

    @property
    def keep(self) -> Tensor:
        """What no mask has pruned: bool, in the shape of the weight."""
        masks = [mask.keep for holder in self.holders if (mask := mask_of(*holder))]
        return masks[0] if masks else torch.ones_like(self.value, dtype=torch.bool)


def find_weights(model: nn.Module, classifier: str | None) -> tuple[tuple[Weight, ...], tuple[Refusal, ...]]:
    """The weights of convolutions, linear layers, attention and embeddings, and the other matrices that are left.

    Args:
        model: not modified.
        classifier: the name of the module that is its last classifier.
    """
    weights: list[Weight] = []
    refusals = list(_computed(model))
    for found in _held(model).values():
        layouts = [how for _, holder in found if (how := layout(*holder))]
        tensor: Tensor = getattr(*found[0][1])
        reason = _obstacle(found, tensor)
        if layouts and reason is None:
            weights.append(_weight(found, layouts[0], classifier))
        elif tensor.dim() > 1 or layouts:
            refusals.append(_refuse(found, reason or _UNKNOWN))
    return tuple(weights), tuple(refusals)


def check_finite(weight: Weight) -> None:
    """Refuse weights that have no order.

    Raises:
        ModelError: the weight holds NaN or infinity.
    """
    value = weight.value
    if not torch.isfinite(value).all():
        kind = "NaN" if torch.isnan(value).any() else "infinity"
        raise ModelError(f"the weight {weight.name!r} holds {kind}; repair it, or name its module in protect")


def _held(model: nn.Module) -> dict[int, list[tuple[str, Holder]]]:
    """Holders of every parameter: the names of the modules that hold it, and its place in each."""
    held: dict[int, list[tuple[str, Holder]]] = {}
    for module_name, module in model.named_modules(remove_duplicate=False):
        if "parametrizations" not in module_name.split("."):
            for tensor_name, parameter in _parameters(module):
                held.setdefault(id(parameter), []).append((module_name, (module, tensor_name)))
    return held


def _parameters(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False, remove_duplicate=False)
    for tensor_name in getattr(module, "parametrizations", ()):
        if mask_of(module, tensor_name):
            yield tensor_name, module.parametrizations[tensor_name].original  # type: ignore[index, union-attr]


def _weight(found: list[tuple[str, Holder]], how: Layout, classifier: str | None) -> Weight:
    names = tuple(dict.fromkeys(name for name, _ in found))
    holders = tuple({(id(module), tensor): (module, tensor) for _, (module, tensor) in found}.values())
    embedding = any(isinstance(module, EMBEDDINGS) for module, _ in holders)
    return Weight(
        name=_join(names[0], holders[0][1]),
        modules=names,
        holders=holders,
        role="embedding" if embedding else "classifier" if classifier in names else "layer",
        layout=how,
    )


def _obstacle(found: list[tuple[str, Holder]], tensor: Tensor) -> str | None:
    """Reason why a tensor cannot be masked, whatever its layer."""
    if not tensor.is_floating_point():
        return f"its values are {str(tensor.dtype).removeprefix('torch.')}, not floating point"
    if any(isinstance(module, EMBEDDINGS) and module.sparse for _, (module, _) in found):
        return "its gradients are sparse, which no mask lets through; make the embedding with sparse=False"
    return None


def _refuse(found: list[tuple[str, Holder]], reason: str) -> Refusal:
    name, (module, tensor_name) = found[0]
    return Refusal(name=_join(name, tensor_name), kind=_kind(module), reason=reason)


def _computed(model: nn.Module) -> Iterator[Refusal]:
    """The weights of layers that are no parameters: parametrized otherwise, or replaced by a hook."""
    for name, module in model.named_modules():
        own = dict(_parameters(module))
        parametrized = getattr(module, "parametrizations", ())
        for tensor_name in sorted({"weight", *parametrized} - own.keys()):
            if layout(module, tensor_name) and getattr(module, tensor_name, None) is not None:
                reason = "the weight is computed from other tensors (a parametrization or a hook); remove that first"
                yield Refusal(name=_join(name, tensor_name), kind=_kind(module), reason=reason)


def _kind(module: nn.Module) -> str:
    return type_before_parametrizations(module).__name__


def _join(module_name: str, tensor_name: str) -> str:
    return f"{module_name}.{tensor_name}" if module_name else tensor_name
