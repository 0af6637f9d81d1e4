"""Which channels of a network can only be removed together: labels follow the data through the captured graph.

The method needs no rule for a layer or an architecture. Every parameter gets a label for each index of each of its
axes; each operator moves, joins or uses up the labels of its inputs; where two labels meet in one element, their
channels are removed together or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled, fresh, labelled, merge, varying
from edgecompress.pruning.structure.data_dependent import deciding
from edgecompress.pruning.structure.rules import Result, bind, propagate

IS_OUTPUT = "is an output of the network"
IS_UNUSED = "is not used by the network"
IS_TRAINING_OUTPUT = "is an output of the network in training"
DECIDES = "decides how much {operator} finds in the data"
MAY_BE_READ = "may be read by {name!r}, which evaluation does not use, and training cannot be captured: {fault}"


Axis = tuple[fx.Node, int]
"""An axis of a tensor that a node computes."""
Ties = Mapping[Axis, Axis | None]
"""Axes of constants, each with the axis that the network's code takes its length from, or None where that is fixed."""


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
        training: the same of the network in training, where it was captured too: with the same classes, other values.
    """

    program: ExportedProgram
    values: Mapping[fx.Node, tuple[Channels, ...]]
    tensors: Mapping[str, Channels]
    frozen: Mapping[int, str]
    classes: int
    training: Structure | None = None

    @property
    def modes(self) -> tuple[Structure, ...]:
        """The network in evaluation, and in training where it was captured."""
        return (self,) if self.training is None else (self, self.training)


def analyse(
    program: ExportedProgram,
    training: ExportedProgram | None = None,
    *,
    fault: str = "",
    ties: Ties | None = None,
) -> Structure:
    """Follow the labels through a program with fixed shapes.

    Args:
        program: as ``torch.export`` captures it for inference, without decompositions.
        training: the same network, captured in training.
        fault: why that could not be captured; what the parameters could read that ``program`` does not use stays whole.
        ties: what axes of constants follow that are not free.
    """
    classes = Classes()
    names, shared = _stored(program), _Shared(classes, program)
    values = _follow(classes, program, names, shared, ties or {}, IS_OUTPUT)
    learning: dict[fx.Node, Result] = {}
    if training is not None:
        learning = _follow(classes, training, _stored(training), shared, ties or {}, IS_TRAINING_OUTPUT)
    both = {**values, **learning}
    unused = _unused(both)
    for value in unused.values():
        _freeze(classes, value, IS_UNUSED)
    if fault:
        parameters = {names[node.name]: value for node, value in unused.items() if node.name in names}
        _freeze_readable(classes, parameters, values, fault)
    _make_rectangular(classes, both)
    found = _found(classes, values)
    tensors = {names[node.name]: channels[0] for node, channels in found.items() if node.name in names}
    whole = Structure(program=program, values=found, tensors=tensors, frozen=classes.frozen(), classes=len(classes))
    if training is None:
        return whole
    return replace(whole, training=replace(whole, program=training, values=_found(classes, learning)))


def unused_tensors(program: ExportedProgram) -> list[str]:
    """The parameters that a program does not use, by name; those that another name shares are used with it."""
    names, shared = _stored(program), _Shared(Classes(), program)
    values: dict[fx.Node, Result] = {
        node: shared.of(node, names) for node in program.graph.find_nodes(op="placeholder")
    }
    parameters = program.graph_signature.inputs_to_parameters
    return [names[node.name] for node in _unused(values) if node.name in parameters]


def _follow(
    classes: Classes,
    program: ExportedProgram,
    names: Mapping[str, str],
    shared: _Shared,
    ties: Ties,
    is_output: str,
) -> dict[fx.Node, Result]:
    """The labels of all that a program computes."""
    values: dict[fx.Node, Result] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder":
            values[node] = shared.of(node, names)
        elif node.op == "call_function":
            call = bind(node, values)
            values[node] = _tied(classes, node, propagate(classes, call), values, ties)
            for source in deciding(node, lambda operand: any(tensor.slots for tensor in _each(values[operand]))):
                _freeze(classes, values[source], DECIDES.format(operator=call.name))
        elif node.op == "output":
            for result in node.all_input_nodes:
                _freeze(classes, values[result], is_output)
    return values


def _tied(classes: Classes, node: fx.Node, result: Result, values: Mapping[fx.Node, Result], ties: Ties) -> Result:
    """The labels of a constant whose axes follow others, or nothing."""
    own = {axis: source for (constant, axis), source in ties.items() if constant is node}
    if not own or isinstance(result, list):
        return result
    for axis, source in own.items():
        if source is not None:
            (other,) = _each(values[source[0]])
            for unit, same in product(_along(result, axis), _along(other, source[1])):
                classes.unify(unit, same)
    fixed = {axis for axis, source in own.items() if source is None}
    return labelled(classes, result.shape, [slot for slot in result.slots if not varying(slot) <= fixed])


def _along(value: Labelled, axis: int) -> list[Tensor]:
    """The labels along an axis, one for each index, of each labelling that lies along no other."""
    at = [slice(None) if other == axis else 0 for other in range(len(value.shape))]
    return [slot[tuple(at)] for slot in value.slots if varying(slot) == {axis}]


def _stored(program: ExportedProgram) -> dict[str, str]:
    """The placeholders that stand for parameters and buffers, and the names of these."""
    signature = program.graph_signature
    return {**signature.inputs_to_parameters, **signature.inputs_to_buffers}


class _Shared:
    """The labels of parameters and buffers: a tensor that two layers share, or two programs, has one labelling."""

    def __init__(self, classes: Classes, program: ExportedProgram) -> None:
        self._classes, self._program = classes, program
        self._found: dict[int, Result] = {}

    def of(self, node: fx.Node, names: Mapping[str, str]) -> Result:
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            return []
        shape = tuple(int(size) for size in value.shape)
        if node.name not in names:
            return Labelled(shape)
        name, program = names[node.name], self._program
        stored = program.state_dict[name] if name in program.state_dict else program.constants[name]
        if not (stored.is_floating_point() or stored.dtype is torch.bool):
            return Labelled(shape)
        assert isinstance(stored, torch.Tensor)
        if id(stored) not in self._found:
            self._found[id(stored)] = fresh(self._classes, shape)
        return self._found[id(stored)]


def _unused(values: Mapping[fx.Node, Result]) -> dict[fx.Node, Result]:
    used = {id(value) for node, value in values.items() if node.users}
    return {node: value for node, value in values.items() if node.op == "placeholder" and id(value) not in used}


def _freeze_readable(
    classes: Classes, unused: Mapping[str, Result], values: Mapping[fx.Node, Result], fault: str
) -> None:
    """Keep whole what lies along axes as long as those of the parameters that are not used, flattened or not."""
    readers = {
        size: name for name, value in unused.items() for tensor in _each(value) for size in tensor.shape if size > 1
    }
    for value in values.values():
        for tensor in _each(value):
            for slot in tensor.slots:
                for axis in varying(slot):
                    lengths = (tensor.shape[axis], prod(tensor.shape[1:]), prod(tensor.shape[axis:]))
                    for name in (readers[size] for size in lengths if size in readers):
                        classes.freeze(slot, MAY_BE_READ.format(name=name, fault=fault))


def _freeze(classes: Classes, value: Result, reason: str) -> None:
    for tensor in _each(value):
        for slot in tensor.slots:
            classes.freeze(slot, reason)


def _make_rectangular(classes: Classes, values: Mapping[fx.Node, Result]) -> None:
    """Where one set of channels lies along several axes, every row keeps the same places: a tensor has no gaps."""
    changed = True
    while changed:
        changed = False
        for value in values.values():
            for tensor in _each(value):
                for slot in labelled(classes, tensor.shape, tensor.slots).slots:
                    axes = sorted(varying(slot))
                    if len(axes) > 1:
                        merge(classes, slot, set(axes[:-1]))
                        changed = True


def _found(classes: Classes, values: Mapping[fx.Node, Result]) -> dict[fx.Node, tuple[Channels, ...]]:
    return {node: tuple(_channels(classes, tensor) for tensor in _each(value)) for node, value in values.items()}


def _channels(classes: Classes, value: Labelled) -> Channels:
    """The slots of a tensor; each varies along a single axis by now."""
    axes = []
    for slot in labelled(classes, value.shape, value.slots).slots:
        (axis,) = varying(slot)
        at = [slice(None) if other == axis else 0 for other in range(slot.ndim)]
        axes.append((axis, slot[tuple(at)].clone()))
    return Channels(value.shape, tuple(axes))


def _each(value: Result) -> list[Labelled]:
    return value if isinstance(value, list) else [value]
