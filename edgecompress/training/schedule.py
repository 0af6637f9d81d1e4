"""Pruning schedules: the amount at each of the steps between which the network is trained.

Each function gives the amounts of ``steps`` steps, as shares of the *original* network; the last one is ``amount``.
"""

from __future__ import annotations

from collections.abc import Callable

from edgecompress.errors import RecipeError, plural

AmountSchedule = Callable[[float, int], tuple[float, ...]]


def one_shot(amount: float, steps: int) -> tuple[float, ...]:
    """All at the first step.

    >>> one_shot(0.5, 3)
    (0.5, 0.5, 0.5)
    """
    return _along(amount, steps, lambda _: 1.0)


def linear(amount: float, steps: int) -> tuple[float, ...]:
    """The same share at each step.

    >>> linear(0.5, 4)
    (0.125, 0.25, 0.375, 0.5)
    """
    return _along(amount, steps, lambda done: done)


def cubic(amount: float, steps: int) -> tuple[float, ...]:
    """Much at first, while there is redundancy, and little at the end: amount * (1 - (1 - i/n)^3), i = 1 to n.

    Zhu and Gupta, "To prune, or not to prune" (2017), equation 1 with an initial sparsity of 0.

    >>> cubic(0.5, 2)
    (0.4375, 0.5)
    """
    return _along(amount, steps, lambda done: 1 - (1 - done) ** 3)


SCHEDULES: dict[str, AmountSchedule] = {"one_shot": one_shot, "linear": linear, "cubic": cubic}


def _along(amount: float, steps: int, curve: Callable[[float], float]) -> tuple[float, ...]:
    if not 0 <= amount < 1:
        raise RecipeError(f"amount is {amount}; give 0 or more, and less than 1")
    if steps < 1:
        raise RecipeError(f"a schedule of {plural(steps, 'step')} prunes nothing; give 1 or more")
    return tuple(amount * curve(index / steps) for index in range(1, steps + 1))
