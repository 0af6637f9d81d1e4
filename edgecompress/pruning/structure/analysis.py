"""Which channels of a network can only be removed together: labels follow the data through the captured graph.

The method needs no rule for a layer or an architecture. Every parameter gets a label for each index of each of its
axes; each operator moves, joins or uses up the labels of its inputs; where two labels meet in one element, their
channels are removed together or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from edgecompress.pruning.structure.classes import Classes
from edgecompress.pruning.structure.labelled import Labelled, fresh, labelled, merge, varying
from edgecompress.pruning.structure.rules import Result, bind, propagate

IS_OUTPUT = "is an output of the network"
IS_UNUSED = "is not used by the network"


@dataclass(frozen=True)
class Channels:
    """A tensor's shape and, for each axis along which channels lie, the class of each index."""

    shape: tuple[int, ...]
    axes: tuple[tuple[int, Tensor], ...]


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What the analysis found.

    Attributes:
        program: the captured network.
        values: the channels of each tensor that a node of its graph computes; of several, in their order.
        tensors: the channels of each parameter and buffer by name.
        frozen: the classes that have to stay whole, with the reason.
        classes: one more than the highest class.
    """

    program: ExportedProgram
    values: Mapping[fx.Node, tuple[Channels, ...]]
    tensors: Mapping[str, Channels]
    frozen: Mapping[int, str]
    classes: int


def analyse(program: ExportedProgram) -> Structure:
    """Follow the labels through a program with fixed shapes.

    Args:
        program: as ``torch.export`` captures it for inference, without decompositions.
    """
    classes = Classes()
    names = _stored(program)
    values: dict[fx.Node, Result] = {}
    shared: dict[int, Result] = {}  # a tensor that two layers share has one labelling
    for node in program.graph.nodes:
        if node.op == "placeholder":
            values[node] = _source(classes, node, program, names, shared)
        elif node.op == "call_function":
            values[node] = propagate(classes, bind(node, values))
        elif node.op == "output":
            for result in node.all_input_nodes:
                _freeze(classes, values[result], IS_OUTPUT)
    _freeze_unused(classes, values)
    _make_rectangular(classes, values)
    found = {node: tuple(_channels(classes, one) for one in _each(value)) for node, value in values.items()}
    tensors = {names[node.name]: channels[0] for node, channels in found.items() if node.name in names}
    return Structure(program=program, values=found, tensors=tensors, frozen=classes.frozen(), classes=len(classes))


def _stored(program: ExportedProgram) -> dict[str, str]:
    """The placeholders that stand for parameters and buffers, and the names of these."""
    signature = program.graph_signature
    return {**signature.inputs_to_parameters, **signature.inputs_to_buffers}


def _source(
    classes: Classes, node: fx.Node, program: ExportedProgram, names: Mapping[str, str], shared: dict[int, Result]
) -> Result:
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return []
    shape = tuple(int(size) for size in value.shape)
    if node.name not in names:
        return Labelled(shape)
    name = names[node.name]
    stored = program.state_dict[name] if name in program.state_dict else program.constants[name]
    if not (stored.is_floating_point() or stored.dtype is torch.bool):
        return Labelled(shape)
    assert isinstance(stored, torch.Tensor)
    if id(stored) not in shared:
        shared[id(stored)] = fresh(classes, shape)
    return shared[id(stored)]


def _freeze_unused(classes: Classes, values: Mapping[fx.Node, Result]) -> None:
    used = {id(value) for node, value in values.items() if node.users}
    for node, value in values.items():
        if node.op == "placeholder" and id(value) not in used:
            _freeze(classes, value, IS_UNUSED)


def _freeze(classes: Classes, value: Result, reason: str) -> None:
    for one in _each(value):
        for slot in one.slots:
            classes.freeze(slot, reason)


def _make_rectangular(classes: Classes, values: Mapping[fx.Node, Result]) -> None:
    """Where one set of channels lies along several axes, every row keeps the same places: a tensor has no gaps."""
    changed = True
    while changed:
        changed = False
        for value in values.values():
            for one in _each(value):
                for slot in labelled(classes, one.shape, one.slots).slots:
                    axes = sorted(varying(slot))
                    if len(axes) > 1:
                        merge(classes, slot, set(axes[:-1]))
                        changed = True


def _channels(classes: Classes, value: Labelled) -> Channels:
    """The slots of a tensor, each of which varies along a single axis by now."""
    axes = []
    for slot in labelled(classes, value.shape, value.slots).slots:
        (axis,) = varying(slot)
        at = [slice(None) if other == axis else 0 for other in range(slot.ndim)]
        axes.append((axis, slot[tuple(at)].clone()))
    return Channels(value.shape, tuple(axes))


def _each(value: Result) -> list[Labelled]:
    return value if isinstance(value, list) else [value]
