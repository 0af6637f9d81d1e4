"""Rank allocation: layers share a budget, so that the loss is least for the cost that has to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a choice for one layer loses, and what it then costs."""

    loss: float
    cost: float


def allocate(curves: Sequence[Sequence[Point]], budget: float) -> list[int]:
    """The choice for each layer, as an index into its curve.

    Minimizes loss + lambda * cost for each layer, with the least lambda that meets the budget: no other choice that
    costs as little loses less in sum (Everett 1963). Along the lower convex hull of a curve lambda is the slope, so
    that the slopes of all hulls, in order, are all the lambdas that there are.

    Args:
        curves: of each layer; the first point is the layer as it is.
        budget: of the sum of the costs; where the hulls end above it, they are followed to their ends.
    """
    hulls = [hull(curve) for curve in curves]
    steps = sorted(
        (_slope(curves[layer][before], curves[layer][after]), layer, place, after)
        for layer, corners in enumerate(hulls)
        for place, (before, after) in enumerate(pairwise(corners))
    )
    chosen = [corners[0] for corners in hulls]
    cost = sum(curve[index].cost for curve, index in zip(curves, chosen, strict=True))
    for _, layer, _, after in steps:
        if cost <= budget:
            break
        cost += curves[layer][after].cost - curves[layer][chosen[layer]].cost
        chosen[layer] = after
    return chosen


def hull(curve: Sequence[Point]) -> list[int]:
    """The corners of the lower convex hull, from the least loss to the least cost.

    >>> hull([Point(loss=0, cost=4), Point(loss=3, cost=3), Point(loss=2, cost=2), Point(loss=5, cost=1)])
    [0, 2, 3]
    """
    order = sorted(range(len(curve)), key=lambda index: (curve[index].loss, curve[index].cost))
    corners: list[int] = []
    for index in order:
        if corners and curve[index].cost >= curve[corners[-1]].cost:
            continue
        while len(corners) > 1 and _slope(curve[corners[-2]], curve[index]) <= _slope(
            curve[corners[-2]], curve[corners[-1]]
        ):
            corners.pop()
        corners.append(index)
    return corners


def _slope(before: Point, after: Point) -> float:
    """Loss for each unit of cost that is saved."""
    return (after.loss - before.loss) / (before.cost - after.cost)
