"""What an importance criterion is given, and what it gives: how much the network is thought to lose with each unit.

Each criterion is a file of ``criteria/`` with a function ``score_units``; other packages register theirs as entry
points of ``edgecompress.criteria`` (:mod:`edgecompress.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

Side = Literal["filter", "channel"]


@dataclass(frozen=True, kw_only=True)
class UnitWeights:
    """A parameter, each unit of a group being a part of it along one axis.

    Attributes:
        name: of the parameter, as in ``named_parameters``.
        values: of the parameter's shape, dtype and device, detached; of a masked one, what the layer computes with.
        gradient: of the loss, of the same shape; None where the criterion asks for no gradients, or the loss does not
            depend on the parameter.
        axis: of ``values``, along which the units lie.
        places: int64, each of shape ``(values.shape[axis],)``: to which unit an index belongs, from 0; those that
            belong to no unit of the group have the number of its units. Two where an axis holds channels twice.
        units: number of units in the group.
        side: ``filter`` for the weights that make the channels of the units, ``channel`` for those that read them, None
            for biases, and the weights of norms.
        counted: whether the recipe asks for this side (``pruning.method``).
        batch_norm: whether these are the scales of a batch norm.
    """

    name: str
    values: Tensor
    gradient: Tensor | None
    axis: int
    places: tuple[Tensor, ...]
    units: int
    side: Side | None
    counted: bool
    batch_norm: bool

    def sum_by_unit(self, elements: Tensor) -> Tensor:
        """The sum over the elements of each unit: float64, ``(units,)``, on the CPU.

        Args:
            elements: one for each of ``values``, and of their shape.
        """
        along = elements.double().movedim(self.axis, 0).reshape(elements.shape[self.axis], -1).sum(1).cpu()
        total = torch.zeros(self.units + 1, dtype=torch.float64)
        for place in self.places:
            total.index_add_(0, place, along)
        return total[: self.units]


@dataclass(frozen=True, kw_only=True)
class UnitGroup:
    """Units that leave a network one by one, each with its part of every parameter that they lie in.

    Attributes:
        name: the first layer that makes them.
        units: how many there are.
        members: the parameters that they lie in.
    """

    name: str
    units: int
    members: tuple[UnitWeights, ...]

    @property
    def counted(self) -> tuple[UnitWeights, ...]:
        """The weights of the side that the recipe asks for."""
        return tuple(member for member in self.members if member.counted)

    def mean(self, parts: Sequence[Tensor]) -> Tensor:
        """The mean over figures of shape ``(units,)``; ones where there are none, so that no unit goes before another.

        >>> UnitGroup(name="conv", units=2, members=()).mean([])
        tensor([1., 1.])
        """
        return torch.stack(list(parts)).mean(0) if parts else torch.ones(self.units)


Criterion = Callable[[UnitGroup, torch.Generator], Tensor]
"""From a group to the importance of each of its units: finite, of shape ``(units,)``; the lowest go first. Figures of
different groups are compared where ``pruning.spread`` is not ``uniform``. What is random comes from the generator,
which has the seed of the recipe and is handed from group to group."""

CriterionT = TypeVar("CriterionT", bound=Callable[..., Any])


def with_gradients(criterion: CriterionT) -> CriterionT:
    """Mark a criterion that reads the gradients of the loss: only then is training data asked for.

    It sets the attribute ``needs_gradients`` of the function to True, which other packages may do themselves.
    """
    vars(criterion)["needs_gradients"] = True
    return criterion


def relative(norms: Tensor) -> Tensor:
    """Figures over their mean, so that layers can be compared.

    >>> relative(torch.tensor([1.0, 3.0]))
    tensor([0.5000, 1.5000])
    """
    return norms / norms.mean().clamp_min(torch.finfo(norms.dtype).tiny)
