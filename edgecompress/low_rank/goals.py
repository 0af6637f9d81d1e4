"""The ranks of all layers together: least loss for a share of the network's cost that has to go.

The signal passes through one layer after the other, so that what counts is the product of the energies that they keep
(Zhang et al. 2016, "Accelerating very deep convolutional networks"): the losses that add up are logarithms. No layer is
then spent to its last rank while others are whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgecompress.low_rank.options import Candidate, Option
from edgecompress.low_rank.rank_allocation import Point, allocate
from edgecompress.low_rank.request import Goal
from edgecompress.pruning.channels.goals import unmet

ROUNDING = 1e-9
"""Error of sums that is tolerated, as a share of the whole."""


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A layer with its cost, and its options with theirs, each less than the layer's."""

    name: str
    cost: float
    options: tuple[tuple[Option, float], ...]


def price(candidate: Candidate, goal: Literal["parameters", "macs"], multiple: int) -> Priced:
    """What is counted, for a layer and its options."""
    counted = tuple((option, float(getattr(option, goal))) for option in candidate.options(multiple))
    return Priced(name=candidate.name, cost=float(getattr(candidate, goal)), options=counted)


def share_out(priced: Sequence[Priced], whole: float, amount: float, goal: Goal) -> Mapping[str, Option]:
    """The options that lose least in sum and leave ``1 - amount`` of the whole; layers without one stay as they are.

    Args:
        priced: the layers that may change.
        whole: the cost of the network.
        amount: the share of it that has to go.
        goal: what the cost is, for the message.

    Raises:
        RecipeError: the cheapest options cost more; the message has the share that can be met.
    """
    curves = [_curve(layer) for layer in priced]
    chosen = allocate(curves, (1 - amount) * whole - whole + sum(layer.cost for layer in priced))
    gone = sum(curve[0].cost - curve[index].cost for curve, index in zip(curves, chosen, strict=True))
    if gone < (amount - ROUNDING) * whole:
        raise unmet(goal, amount, gone / whole, "low_rank")
    return {layer.name: layer.options[index - 1][0] for layer, index in zip(priced, chosen, strict=True) if index}


def most(priced: Sequence[Priced], whole: float) -> float:
    """The largest share of the whole that can go."""
    cheapest = (min([layer.cost, *(cost for _, cost in layer.options)]) for layer in priced)
    return sum(layer.cost - least for layer, least in zip(priced, cheapest, strict=True)) / whole


def _curve(layer: Priced) -> list[Point]:
    options = [Point(loss=_logarithm(option.loss), cost=cost) for option, cost in layer.options]
    return [Point(loss=0.0, cost=layer.cost), *options]


def _logarithm(loss: float) -> float:
    return -math.log(max(1 - loss, 1e-12))
