"""What the size of a constant follows in the network's own code, found by trying.

``torch.zeros(1, self.width)`` follows an attribute, ``torch.zeros(x.shape)`` another tensor, ``torch.zeros(1, 16)``
nothing; in the graph all three are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from edgecompress.pruning.structure.analysis import Axis, Channels, Structure, Ties
from edgecompress.pruning.structure.groups import find_groups
from edgecompress.pruning.structure.rules.constants import is_constant

MOST_SOURCES = 6
"""Most tensors that are tried as the source of a constant's size, the nearest first."""

Fits = Callable[[Structure, Sequence[int]], bool]


def settle_constants(follow: Callable[[Ties], Structure], fits: Fits) -> Structure:
    """The structure in which every constant follows what it follows in the code; where that cannot be found, nothing.

    Args:
        follow: the structure, given what constants follow.
        fits: whether the network runs as it should without these units.
    """
    ties: dict[Axis, Axis | None] = {}
    structure = follow(ties)
    for constant in _constant_axes(structure):
        if not _shares_a_group(structure, constant) or _holds(structure, constant, fits):
            continue
        candidates = ({**ties, constant: source} for source in _sources(structure, constant))
        ties = next(
            (candidate for candidate in candidates if _holds(follow(candidate), constant, fits)),
            {**ties, constant: None},
        )
        structure = follow(ties)
    return structure


def _constant_axes(structure: Structure) -> list[Axis]:
    """The axes of constants along which channels lie."""
    found = [(node, values) for mode in structure.modes for node, values in mode.values.items() if is_constant(node)]
    return [(node, axis) for node, (channels,) in found for axis, _ in channels.axes]


def _sources(structure: Structure, constant: Axis) -> list[Axis]:
    """Axes of earlier tensors that are as long as that of a constant, the nearest first, each set of channels once."""
    (values,) = (mode.values for mode in structure.modes if constant[0] in mode.values)
    length = values[constant[0]][0].shape[constant[1]]
    earlier = list(values)[: list(values).index(constant[0])]
    found: dict[tuple[int, ...], Axis] = {}
    for node in reversed(earlier):
        if node.op == "call_function" and len(values[node]) == 1:
            for axis, units in _vectors(values[node][0]):
                if len(units) == length:
                    found.setdefault(units, (node, axis))
    return list(found.values())[:MOST_SOURCES]


def _vectors(channels: Channels) -> Iterator[tuple[int, tuple[int, ...]]]:
    return ((axis, tuple(classes.tolist())) for axis, classes in channels.axes)


def _shares_a_group(structure: Structure, constant: Axis) -> bool:
    return any(True for _ in _halves(structure, constant))


def _holds(structure: Structure, constant: Axis, fits: Fits) -> bool:
    """Whether half of the channels of each group in which a constant takes part can go."""
    halves = list(_halves(structure, constant))
    return bool(halves) and all(fits(structure, units) for units in halves)


def _halves(structure: Structure, constant: Axis) -> Iterator[Sequence[int]]:
    node, own = constant
    (values,) = (mode.values[node] for mode in structure.modes if node in mode.values)
    classes = {unit for axis, units in _vectors(values[0]) if axis == own for unit in units}
    for group in find_groups(structure):
        if not classes.isdisjoint(group.units):
            yield group.units[: len(group.units) // 2]
