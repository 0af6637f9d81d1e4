"""The fewest layers that have to be more exact for a budget: found from few evaluations, since noise foretells losses.

The share of noise that a count of layers leaves in the outputs is known from a few calibration samples. The loss of a
metric is about proportional to it: small errors of either sign win as many answers as they lose, so that only their
power counts, and what each layer adds to it is a sum. So the count at which the loss meets its limit is looked for on
the straight line between two counts whose losses are known (false position), and each evaluation moves one of the two.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

WORTH_A_TRIAL = 2 / 3
"""Of the layers that suffice, those that at most may be left for another trial to pay."""
FIRST_STEP = 1 / 3
"""Of all layers, how many the first trial has at most: a forecast from nothing but the two ends may be far off."""
NoiseOf = Callable[[int], float]
"""The share of noise in the outputs, as power, with so many layers more exact; it falls with their number."""


class Judgement(Protocol):
    """True for a model within the accuracy budget; of two that are outside it, the less is further out."""

    def __bool__(self) -> bool: ...

    def __lt__(self, other: Any, /) -> bool: ...

    @property
    def loss(self) -> float:
        """What the model loses, in a unit to which the noise in its outputs is about proportional."""
        ...

    @property
    def limit(self) -> float:
        """The largest loss that is within the budget."""
        ...

    @property
    def floor(self) -> float:
        """What the model loses where no layer is integer."""
        ...


class Attempt(Protocol):
    """A model with some layers more exact, and how it stands."""

    @property
    def standing(self) -> Judgement: ...  # noqa: D102


AttemptT = TypeVar("AttemptT", bound=Attempt)


@dataclass(frozen=True, kw_only=True)
class End:
    """A count of layers whose loss is known."""

    count: int
    loss: float


def fewest_layers(
    missed: End,
    held: End,
    limit: float,
    noise_of: NoiseOf,
    attempt: Callable[[int], AttemptT],
    trials: Iterable[int],
    *,
    known: bool = False,
) -> list[AttemptT]:
    """Attempts at the fewest layers that suffice: up to the first one that does, and another where it may save a third.

    The last trial that there is takes all of ``held`` where none sufficed before, and it is not known that they do.

    Args:
        missed: a count that does not suffice, and what it loses.
        held: a larger one that is expected to suffice, and what it loses or would.
        limit: the largest loss that suffices.
        noise_of: of so many layers; asked for some counts between the two.
        attempt: makes that many layers more exact, and evaluates what comes of it.
        trials: how many are left, this one included, for each attempt that may be made.
        known: whether it is known that ``held`` suffices.
    """
    made: list[AttemptT] = []
    found = False
    for left in trials:
        count = expected_count(missed, held, limit, noise_of)
        if (count == held.count and known) or (found and count > WORTH_A_TRIAL * held.count):
            break
        if not found and left == 1 and not known:
            count = held.count
        elif not made and left > 1:
            count = min(count, missed.count + math.ceil((held.count - missed.count) * FIRST_STEP))
        tried = attempt(count)
        made.append(tried)
        end = End(count=count, loss=tried.standing.loss)
        if found or (not tried.standing and count == held.count):
            break
        found = bool(tried.standing)
        missed, held = (missed, end) if found else (end, held)
    return made


def expected_count(missed: End, held: End, limit: float, noise_of: NoiseOf) -> int:
    """The fewest layers, more than ``missed`` has, whose loss is expected to be within a limit.

    >>> noise = [4.0, 3.0, 2.0, 1.0, 0.0]
    >>> expected_count(End(count=0, loss=8.0), End(count=4, loss=0.0), 4.5, noise.__getitem__)
    2
    """
    between = range(missed.count + 1, held.count)
    share = 0.5 if missed.loss <= max(limit, held.loss) else (limit - held.loss) / (missed.loss - held.loss)
    most, least = noise_of(missed.count), noise_of(held.count)
    wanted = least + max(share, 0.0) * (most - least)
    return missed.count + 1 + bisect_left(between, -wanted, key=lambda count: -noise_of(count))
