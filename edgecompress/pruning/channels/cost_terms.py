"""What a network costs as a sum of terms, each a function of the widths of a few groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgecompress.pruning.channels.widths import Widths
from edgecompress.pruning.structure.analysis import Channels
from edgecompress.pruning.structure.groups import Group


@dataclass(frozen=True, kw_only=True)
class AxisExtent:
    """The length of an axis as a function of the widths: channels that always stay, and so many for each unit."""

    fixed: int
    per_unit: Mapping[str, int]

    def at(self, widths: Widths) -> int:
        """The length at these widths."""
        return self.fixed + sum(count * widths[name] for name, count in self.per_unit.items())


@dataclass(frozen=True, kw_only=True)
class Term:
    """A part of the cost and the groups that it depends on."""

    groups: frozenset[str]
    cost: Callable[[Widths], float]


def term(extents: Iterable[AxisExtent], cost: Callable[[Widths], float]) -> Term:
    """A term that depends on these lengths."""
    return Term(groups=frozenset(name for extent in extents for name in extent.per_unit), cost=cost)


def add_up(terms: Sequence[Term]) -> Callable[[Widths], float]:
    """The whole cost as a function of the widths."""
    return lambda widths: sum(part.cost(widths) for part in terms)


def names_of(groups: Sequence[Group]) -> Mapping[int, str]:
    """The group of every unit."""
    return {unit: group.name for group in groups for unit in group.units}


def full(groups: Sequence[Group]) -> Widths:
    """The widths of the network as it is."""
    return {group.name: len(group.units) for group in groups}


def extents_of(channels: Channels, names: Mapping[int, str]) -> tuple[AxisExtent, ...]:
    """The lengths of a tensor's axes, with the units that :func:`names_of` knows."""
    return tuple(_extent(channels, axis, names) for axis in range(len(channels.shape)))


def _extent(channels: Channels, axis: int, names: Mapping[int, str]) -> AxisExtent:
    counts: dict[str, int] = {}
    units: dict[str, set[int]] = {}
    for at, classes in channels.axes:
        for unit in classes.tolist() if at == axis else ():
            if unit in names:
                counts[names[unit]] = counts.get(names[unit], 0) + 1
                units.setdefault(names[unit], set()).add(unit)
    per_unit = {name: count // len(units[name]) for name, count in counts.items()}
    return AxisExtent(fixed=channels.shape[axis] - sum(counts.values()), per_unit=per_unit)
