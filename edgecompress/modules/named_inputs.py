"""Inputs by name: what a network takes, and a named input for each key where ``forward`` takes one dict."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import onnx_ir as ir
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgecompress.data.batches import Source
from edgecompress.data.parts import InputNames, parts_of
from edgecompress.errors import ModelError
from edgecompress.runtime import Network


def name_inputs(network: Network, source: Source) -> Network:
    """The network itself, or a named input for each key that the first batch has.

    The latter where a module takes a single argument and the batch is a dict of several tensors, none of
    which is that argument.

    Raises:
        ModelError: ``forward`` takes ``*args``, so that its inputs have no names.
    """
    if not isinstance(network, nn.Module):
        return network
    names = input_names(network)
    features = next((parts_of(raw, names).inputs for raw in source()), None)
    if len(names.names) > 1 or not isinstance(features, Mapping) or len(features) < 2 or names.names[0] in features:
        return network
    return _calling(tuple(features), lambda module, inputs: module(inputs))(network)


def named_module(module: nn.Module, source: Source) -> nn.Module:
    """The same for a network that is a module."""
    named = name_inputs(module, source)
    assert isinstance(named, nn.Module)
    return named


def answering(teacher: nn.Module, student: Network, source: Source) -> nn.Module:
    """A teacher that takes its student's inputs: by name where it knows the names, else in their order."""
    teacher, names = named_module(teacher, source), input_names(student).names
    if set(names) <= set(input_names(teacher).names):
        return teacher
    return _calling(names, lambda module, inputs: module(*inputs.values()))(teacher)


def input_names(network: Network) -> InputNames:
    """The names under which a network takes its inputs.

    Raises:
        ModelError: ``forward`` takes ``*args``, so that its inputs have no names.
    """
    if isinstance(network, ir.Model):
        return _all_required(str(value.name) for value in network.graph.inputs)
    if isinstance(network, ExportedProgram):
        return _all_required(str(name) for name in network.graph_signature.user_inputs)
    return _forward_names(network)


def _calling(
    names: tuple[str, ...], call: Callable[[nn.Module, dict[str, Tensor]], Any]
) -> Callable[[nn.Module], nn.Module]:
    """A wrapper that takes arguments of these names, and calls a module with them in a way of its own.

    ``torch.export`` reads the names of inputs, and which of them are dynamic, from the signature.
    """

    class NamedInputs(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            return call(self.module, {name: given[name] for name in names if name in given})

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *names)]
    NamedInputs.forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return NamedInputs


def _all_required(names: Iterable[str]) -> InputNames:
    listed = tuple(names)
    return InputNames(names=listed, required=len(listed))


def _forward_names(module: nn.Module) -> InputNames:
    parameters = inspect.signature(module.forward).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not named:
        raise ModelError(f"{type(module).__name__}.forward has no named input; write forward(self, x, ...)")
    required = sum(p.default is p.empty for p in named)
    return InputNames(names=tuple(p.name for p in named), required=required)
