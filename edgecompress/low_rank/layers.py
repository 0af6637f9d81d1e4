"""The layers of a model that can be decomposed, and why others cannot."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize
from torch.nn.utils.parametrize import type_before_parametrizations

from edgecompress.errors import ModelError, RecipeError
from edgecompress.low_rank.parts import Layer
from edgecompress.modules.names import check_names, covers
from edgecompress.pruning.masks.layers import EMBEDDINGS, layout
from edgecompress.step import Refusal

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
)
_NEIGHBOURS = {nn.MultiheadAttention: ("out_proj",), nn.TransformerEncoderLayer: ("linear1", "linear2")}
"""Modules whose own code reads the weights of these layers."""

Layers = Mapping[str, Layer]
"""Layers by name."""


def find_layers(model: nn.Module) -> tuple[Layers, tuple[Refusal, ...]]:
    """Linear layers and convolutions that stand for themselves, and those that are left whole.

    Args:
        model: not modified.
    """
    layers: dict[str, Layer] = {}
    refusals: list[Refusal] = []
    outside = _outside(model)
    for name, module in model.named_modules():
        if "parametrizations" in name.split(".") or not _multiplies(module):
            continue
        reason = outside.get(name) or obstacle(module)
        if reason is None:
            assert isinstance(module, KINDS)
            layers[name] = module
        else:
            refusals.append(refuse(name, module, reason))
    return layers, tuple(refusals)


def obstacle(module: nn.Module) -> str | None:
    """Reason why a layer cannot be decomposed, whatever surrounds it; None where it can."""
    kind = type_before_parametrizations(module)
    if isinstance(module, nn.MultiheadAttention):
        return "its own code reads its weights"
    if isinstance(module, EMBEDDINGS):
        return "an embedding is looked up, not multiplied"
    if isinstance(module, _ConvTransposeNd):
        return "a transposed convolution"
    if isinstance(module, _ConvNd) and module.groups > 1:
        return "a depthwise convolution" if module.groups == module.in_channels else "a grouped convolution"
    if kind not in KINDS:
        return f"no plain linear layer or convolution, but a {kind.__name__}, whose own code may do more"
    if isinstance(module, nn.Conv1d) and module.kernel_size != (1,):
        return "a convolution along one axis with a kernel above 1"
    if parametrize.is_parametrized(module):
        # The product of two factors cannot keep a mask's zeros, and training would lose the parametrization.
        return "its weight is masked or otherwise parametrized; make that permanent first"
    if any(getattr(module, hooks, None) for hooks in _HOOKS):
        return "it has hooks, which would be lost"
    return None if module.weight.is_floating_point() else f"its weight is {module.weight.dtype}"  # type: ignore[operator]


def unprotected(
    layers: Layers, model: nn.Module, classifier: str | None, include: Sequence[str], protect: Sequence[str]
) -> tuple[Layers, tuple[Refusal, ...]]:
    """The layers that may be touched, and those that are protected: the last classifier, and what the user names.

    Raises:
        RecipeError: a name fits nothing, or nothing that can be decomposed, or stands in both lists.
    """
    for key, patterns in (("include", include), ("protect", protect)):
        check_names(patterns, model, f"low_rank.{key}")
    for pattern in include:
        if not any(covers(pattern, name) for name in layers):
            raise RecipeError(
                f"'low_rank.include' names {pattern!r}, which holds no layer that can be decomposed; take it out"
            )
    free: dict[str, Layer] = {}
    refusals: list[Refusal] = []
    for name, layer in layers.items():
        reason = _protection(name, name == classifier, include, protect)
        if reason:
            refusals.append(refuse(name, layer, reason))
        else:
            free[name] = layer
    return free, tuple(refusals)


def check_finite(layers: Layers) -> None:
    """Refuse weights that have no singular values.

    Raises:
        ModelError: a weight or bias holds NaN or infinity.
    """
    for name, layer in layers.items():
        for tensor_name, value in layer.named_parameters(recurse=False):
            if not torch.isfinite(value).all():
                kind = "NaN" if torch.isnan(value).any() else "infinity"
                where = f"{name}.{tensor_name}".lstrip(".")
                raise ModelError(f"{where!r} holds {kind}; repair it, or name its layer in 'low_rank.protect'")


def replace(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """The model with another module under a name; it is modified, unless the name is that of the model itself."""
    if not name:
        return module
    parent, _, own = name.rpartition(".")
    model.get_submodule(parent)._modules[own] = module
    return model


def refuse(name: str, module: nn.Module, reason: str) -> Refusal:
    """A layer that is left whole."""
    return Refusal(name=name, kind=type_before_parametrizations(module).__name__, reason=reason)


def _multiplies(module: nn.Module) -> bool:
    return isinstance(module, nn.MultiheadAttention) or layout(module, "weight") is not None


def _outside(model: nn.Module) -> dict[str, str]:
    """What stands outside a layer and keeps it whole: other names for it or its weight, code that reads it."""
    reasons: dict[str, str] = {}
    for name, module in model.named_modules():
        for kind, children in _NEIGHBOURS.items():
            if isinstance(module, kind):
                reason = f"{kind.__name__} reads its weight and does not call it"
                reasons |= {f"{name}.{child}".lstrip("."): reason for child in children}
    for names in _shared(model):
        for name in names:
            other = next((candidate for candidate in names if candidate != name), name)
            reasons.setdefault(name, f"its weight is shared with {other!r}")
    return reasons


def _shared(model: nn.Module) -> Iterator[list[str]]:
    """The names of modules that hold the same tensor, in the same module or in several."""
    holders: defaultdict[int, list[str]] = defaultdict(list)
    for name, module in model.named_modules(remove_duplicate=False):
        for tensor in module.parameters(recurse=False):
            holders[id(tensor)].append(name)
    counts = Counter({key: len(names) for key, names in holders.items()})
    return (holders[key] for key, count in counts.items() if count > 1)


def _protection(name: str, is_classifier: bool, include: Sequence[str], protect: Sequence[str]) -> str:
    included = any(covers(pattern, name) for pattern in include)
    hit = next((pattern for pattern in protect if covers(pattern, name)), None)
    if included and hit:
        raise RecipeError(f"{name!r} stands in both 'low_rank.include' and 'low_rank.protect'; leave it out of one")
    if hit:
        return f"protected by {hit!r}"
    return "" if included or not is_classifier else "the last classifier is protected; name it in 'low_rank.include'"
