"""Greedy choice of widths: step by step, the group shrinks that saves most cost for its damage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edgecompress.pruning.channels.cost_terms import Term, full
from edgecompress.pruning.channels.importance import Scores
from edgecompress.pruning.channels.widths import Widths, step_of
from edgecompress.pruning.structure.groups import Group

LEAST_SHARE = 0.1
"""Share of the units of a group that is always kept."""
STEPS = 12
"""Number of steps that a group is cut into, where its own step is finer."""

Damage = Callable[[Group, int], float]
"""What the network loses when a group keeps so many units; 0 for all, and never less for fewer."""


def importance_damage(scores: Scores) -> Damage:
    """The logarithm of the importance that is kept: relative to what is left, so that no group is spent to its last
    unit while others are whole."""
    sums: dict[str, list[float]] = {}

    def damage(group: Group, kept: int) -> float:
        if group.name not in sums:
            ranked = sorted((scores[unit] for unit in group.units), reverse=True)
            sums[group.name] = [sum(ranked[:count]) for count in range(len(ranked) + 1)]
        whole, left = sums[group.name][-1], sums[group.name][kept]
        return math.log(max(whole, 1e-12) / max(left, 1e-12))

    return damage


def spend(groups: Sequence[Group], damage: Damage, multiple: int, terms: Sequence[Term]) -> Callable[[float], Widths]:
    """Widths by amount, from all units (0) to the fewest (1).

    Args:
        groups: whose units can go.
        damage: of each group's width, taken to add up over the groups.
        multiple: the numbers of channels that stay are multiples of this.
        terms: of the cost that is to shrink.
    """
    path = [full(groups)]
    touched = {group.name: [term for term in terms if group.name in term.groups] for group in groups}
    prices: dict[str, tuple[float, int] | None] = {}
    stale = {group.name for group in groups}
    while True:
        for group in groups:
            if group.name in stale:
                prices[group.name] = _price(group, damage, multiple, path[-1], touched[group.name])
        offers = [(offer[0], name, offer[1]) for name, offer in prices.items() if offer is not None]
        if not offers:
            return lambda amount: path[min(int(amount * len(path)), len(path) - 1)]
        _, name, kept = min(offers)
        path.append({**path[-1], name: kept})
        stale = {name}.union(*(term.groups for term in touched[name]))


def _price(
    group: Group, damage: Damage, multiple: int, widths: Widths, terms: Sequence[Term]
) -> tuple[float, int] | None:
    """Damage for a unit of cost with the next step of a group, and the units it would keep."""
    step = step_of(group, multiple)
    step *= max(round(len(group.units) / STEPS / step), 1)
    now = widths[group.name]
    kept = (math.ceil(now / step) - 1) * step
    if kept < max(step, LEAST_SHARE * len(group.units)):
        return None
    then = {**widths, group.name: kept}
    gained = sum(term.cost(widths) - term.cost(then) for term in terms)
    return (damage(group, kept) - damage(group, now)) / max(gained, 1e-9), kept
