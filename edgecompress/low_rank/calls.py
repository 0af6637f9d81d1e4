"""The calls of layers in a forward pass, and the layers that a network does not merely call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.errors import ModelError, first_line
from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.layers import Layers, refuse, replace
from edgecompress.modules.copies import copied
from edgecompress.modules.forward import run_example
from edgecompress.step import Refusal

UNCALLED = "it is not called on the example inputs; its weight is unused, or read by other code"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The calls of each layer that may be replaced, and the layers that may not."""

    calls: Mapping[str, tuple[LayerCall, ...]]
    refusals: tuple[Refusal, ...]


def observe(model: nn.Module, layers: Layers, example_inputs: Any) -> Observed:
    """Run a network in which each layer is wrapped in a sequence of one.

    Code that reads ``layer.weight``, or asks for the layer's type, does not work with that, or answers otherwise; the
    layers that it happens to are found one by one.

    Args:
        model: not modified.
        layers: of it.
        example_inputs: a tensor, a tuple of inputs, or a dict by input name.

    Raises:
        ModelError: the model does not run on the inputs.
    """
    expected = run_example(copied(model), example_inputs)
    faults: dict[str, str] = {}
    calls, fault = _wrapped(model, list(layers), example_inputs, expected)
    if fault:
        for name in layers:
            fault = _wrapped(model, [name], example_inputs, expected)[1]
            if fault:
                faults[name] = f"the network cannot do without its own attributes: {fault}"
        calls, fault = _wrapped(model, [name for name in layers if name not in faults], example_inputs, expected)
        if fault:  # several layers whose code reads one another
            faults |= {name: f"the network does not only call it: {fault}" for name in layers if name not in faults}
    reasons = {name: faults.get(name, UNCALLED) for name in layers if name in faults or not calls.get(name)}
    return Observed(
        calls={name: tuple(calls[name]) for name in layers if name not in reasons},
        refusals=tuple(refuse(name, layers[name], reason) for name, reason in reasons.items()),
    )


def _wrapped(
    model: nn.Module, names: Sequence[str], example_inputs: Any, expected: Any
) -> tuple[dict[str, list[LayerCall]], str]:
    """The calls of these layers in sequences of their own, and what went wrong."""
    wrapped = copied(model)
    calls: dict[str, list[LayerCall]] = {name: [] for name in names}
    for name in names:
        layer = wrapped.get_submodule(name)
        wrapped = replace(wrapped, name, nn.Sequential(layer))
        layer.register_forward_hook(_noting(calls[name]))
    try:
        found = run_example(wrapped, example_inputs)
    except ModelError as error:
        return calls, first_line(error.__cause__ or error)
    return calls, "" if _equal(found, expected) else "its outputs differ"


def _noting(calls: list[LayerCall]) -> Any:
    def note(_layer: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        if inputs:  # given by keyword, the input would be missed: the layer counts as one that is not called
            calls.append(LayerCall(source=tuple(inputs[0].shape), result=tuple(result.shape)))

    return note


def _equal(found: Any, expected: Any) -> bool:
    pairs = [[leaf for leaf in pytree.tree_leaves(each) if isinstance(leaf, Tensor)] for each in (found, expected)]
    return len(pairs[0]) == len(pairs[1]) and all(
        tensor.shape == other.shape and torch.allclose(tensor, other, rtol=1e-4, atol=1e-6, equal_nan=True)
        for tensor, other in zip(*pairs, strict=True)
    )
