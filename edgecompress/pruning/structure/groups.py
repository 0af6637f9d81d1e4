"""Groups of channels: what can be removed, one unit at a time, and where its parts lie."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from edgecompress.pruning.structure.analysis import Channels, Structure
from edgecompress.pruning.structure.rules.call import operator_name
from edgecompress.step import Refusal

Member = tuple[str, int]
"""A parameter or buffer by name, and the axis along which the channels lie."""


ALL_AT_ONCE = "they can only be removed all at once"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Units that lie in the same tensors: the output channels of a layer, the heads of an attention.

    Attributes:
        name: the first layer that makes them; a second group of the same layer has ``#2`` behind it.
        units: their classes, in the order of the channels.
        members: where they lie.
        width: channels in a unit, in the tensor in which it has most: 1, or the width of a head.
    """

    name: str
    units: tuple[int, ...]
    members: tuple[Member, ...]
    width: int


def find_groups(structure: Structure) -> tuple[Group, ...]:
    """The groups of a network that have removable units, in the order in which their first tensor is used."""
    by_place: dict[tuple[Member, ...], list[int]] = defaultdict(list)
    for unit, members in _members(structure).items():
        if unit not in structure.frozen:
            by_place[tuple(sorted(members))].append(unit)
    made = producers(structure)
    several = {members: units for members, units in by_place.items() if len(units) > 1}
    groups = [_group(structure, made, members, units) for members, units in several.items()]
    seen: dict[str, int] = defaultdict(int)
    named = []
    for group in groups:
        seen[group.name] += 1
        times = seen[group.name]
        named.append(group if times == 1 else replace(group, name=f"{group.name}#{times}"))
    return tuple(named)


def find_refusals(structure: Structure) -> tuple[Refusal, ...]:
    """The channels of layers that stay whole, each set with its reason; kernels and inputs go without saying."""
    reasons: dict[tuple[str, str], int] = defaultdict(int)
    places = _members(structure)
    alike = Counter(frozenset(members) for unit, members in places.items() if unit not in structure.frozen)
    made = producers(structure)
    for unit, members in places.items():
        single = ALL_AT_ONCE if alike[frozenset(members)] == 1 else None
        outputs = [member for member in members if member in made]
        frozen = structure.frozen.get(unit)
        reason = single if frozen is None else f"each {frozen}"
        if outputs and reason:
            name, _ = min(outputs, key=made.__getitem__)
            reasons[layer_name(name), reason] += _count(structure, name, unit)
    for name, count in _hanging_together(structure):
        reasons[layer_name(name), ALL_AT_ONCE] += count
    stay = {1: "1 channel stays"}
    return tuple(
        Refusal(name=name, kind="channels", reason=f"{stay.get(count, f'{count} channels stay')}: {reason}")
        for (name, reason), count in reasons.items()
    )


def removed_from(structure: Structure, units: Iterable[int]) -> dict[str, dict[int, Tensor]]:
    """What is removed with these units: tensor name -> axis -> indices, int64."""
    gone = as_flags(structure, units)
    found: dict[str, dict[int, Tensor]] = {}
    for name, channels in structure.tensors.items():
        axes = {axis: (~kept).nonzero().flatten() for axis, kept in kept_by_axis(channels, gone).items()}
        if axes := {axis: indices for axis, indices in axes.items() if len(indices)}:
            found[name] = axes
    return found


def as_flags(structure: Structure, units: Iterable[int]) -> Tensor:
    """Whether each class is among the units: bool, (classes,)."""
    gone = torch.zeros(structure.classes, dtype=torch.bool)
    gone[torch.tensor(list(units), dtype=torch.int64)] = True
    return gone


def kept_by_axis(channels: Channels, gone: Tensor) -> dict[int, Tensor]:
    """Indices that stay on each axis along which channels lie, as bool."""
    kept: dict[int, Tensor] = {}
    for axis, classes in channels.axes:
        stays = ~gone[classes]
        kept[axis] = kept[axis] & stays if axis in kept else stays
    return kept


def joined_units(structure: Structure) -> frozenset[int]:
    """The classes of the channels in which an addition joins two branches: those of the residual streams."""
    joined: set[int] = set()
    for node in structure.program.graph.nodes:
        computed = [operand for operand in node.all_input_nodes if operand.op == "call_function"]
        if operator_name(node).rstrip("_") == "add" and len(computed) == 2:
            left, right = (_classes(structure, operand) for operand in computed)
            joined |= left & right
    return frozenset(joined)


def _classes(structure: Structure, node: fx.Node) -> set[int]:
    return {int(unit) for channels in structure.values[node] for _, classes in channels.axes for unit in classes}


def _hanging_together(structure: Structure) -> Iterator[tuple[str, int]]:
    """The weights whose outputs are of a single class, and how many these are."""
    turned = _transposed(structure)
    for name in structure.program.graph_signature.parameters:
        channels = structure.tensors.get(name)
        made = int(name in turned)
        if channels and len(channels.shape) > 1 < channels.shape[made] and made not in dict(channels.axes):
            yield name, channels.shape[made]


def _count(structure: Structure, name: str, unit: int) -> int:
    """The output channels of a weight that belong to a unit."""
    return max(int((classes == unit).sum()) for _, classes in structure.tensors[name].axes)


def _members(structure: Structure) -> Mapping[int, set[Member]]:
    found: dict[int, set[Member]] = defaultdict(set)
    for name, channels in structure.tensors.items():
        for axis, classes in channels.axes:
            for unit in set(classes.tolist()):
                found[unit].add((name, axis))
    return found


def _group(structure: Structure, made: Mapping[Member, int], members: tuple[Member, ...], units: list[int]) -> Group:
    width, name = 0, members[0][0]
    weights = [member for member in members if member[0].endswith("weight")] or list(members)
    for member, axis in weights:
        places = [classes for at, classes in structure.tensors[member].axes if at == axis]
        count = max(int((classes == units[0]).sum()) for classes in places)
        if count > width:
            width, name = count, member
    outputs = [member for member in members if member in made]
    if outputs:
        name, _ = min(outputs, key=made.__getitem__)
    return Group(name=layer_name(name), units=tuple(sorted(units)), members=members, width=width)


def layer_name(tensor: str) -> str:
    """The module that holds a weight, whatever it calls it; other tensors are named in full.

    >>> layer_name("encoder.conv.weight"), layer_name("lstm.weight_ih_l0"), layer_name("head.scale")
    ('encoder.conv', 'lstm', 'head.scale')
    """
    tensor = tensor.split(".parametrizations.weight.")[0] + ".weight" if ".parametrizations." in tensor else tensor
    owner, _, own = tensor.rpartition(".")
    return owner if owner and "weight" in own else tensor


def producers(structure: Structure) -> dict[Member, int]:
    """The output axis of every weight, and its place in the order of use: axis 1 of transposed convolutions, else 0."""
    turned = _transposed(structure)
    weights = (name for name, channels in structure.tensors.items() if len(channels.shape) > 1)
    return {(name, int(name in turned)): place for place, name in enumerate(weights)}


def _transposed(structure: Structure) -> set[str]:
    """The weights of transposed convolutions, which lie inputs first."""
    found = set()
    for program in (mode.program for mode in structure.modes):
        names = program.graph_signature.inputs_to_parameters
        nodes = (node for node in program.graph.nodes if operator_name(node).startswith("conv_transpose"))
        found |= {names[source.name] for node in nodes for source in node.all_input_nodes[1:2] if source.name in names}
    return found
