"""Goals: how much to remove so that a network costs the share that is asked for."""

from __future__ import annotations

from collections.abc import Callable

from edgecompress.errors import RecipeError
from edgecompress.pruning.channels.widths import Widths

ROUNDS = 24
"""Bisections of the amount; far finer than a channel."""


def meet(goal: str, share: float, widths_at: Callable[[float], Widths], cost: Callable[[Widths], float]) -> Widths:
    """The widest widths that cost at most ``1 - share`` of the whole.

    Args:
        goal: what is counted, for the message.
        share: of the cost that has to go, 0 to 1.
        widths_at: the widths as a function of an amount from 0 (all) to 1; never wider for a larger amount.
        cost: of the network at some widths.

    Raises:
        RecipeError: even the narrowest widths cost more; the message has the share that can be met.
    """
    whole = cost(widths_at(0.0))
    budget = (1 - share) * whole
    low, high = 0.0, 1.0
    narrowest = widths_at(high)
    least = cost(narrowest)
    if least > budget:
        raise unmet(goal, share, 1 - least / whole, "pruning")
    found = narrowest
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        widths = widths_at(middle)
        if cost(widths) <= budget:
            found, high = widths, middle
        else:
            low = middle
    return found


def unmet(goal: str, share: float, most: float, table: str) -> RecipeError:
    """The error for a goal beyond what can be reached.

    Args:
        goal: what is counted.
        share: of it that was to go.
        most: the share that can go.
        table: of the recipe, in which the amount and the multiple stand.
    """
    fewer = "less" if goal == "latency" else "fewer"
    return RecipeError(
        f"the goal of {share:.0%} {fewer} {goal} cannot be met: at most {most:.1%} can go;"
        f" lower '{table}.amount' or '{table}.multiple'"
    )
