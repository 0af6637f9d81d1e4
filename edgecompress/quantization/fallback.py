"""Budgeted fallback: layers return to float, the most rewarding first, until the model is accurate enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import onnx_ir as ir

from edgecompress.data.batches import Batches
from edgecompress.progress import Progress
from edgecompress.quantization.lowering import floating
from edgecompress.quantization.recovery import Recovered, recover
from edgecompress.quantization.sensitivity import rank_layers
from edgecompress.recipe.tables import Quantization


class Judgement(Protocol):
    """True for a model within the accuracy budget; of two that are outside it, the less is further out."""

    def __bool__(self) -> bool: ...

    def __lt__(self, other: Any, /) -> bool: ...


Accept = Callable[[ir.Model], Judgement]
"""Whether an INT8 model is within its accuracy budget, and how near if not: one evaluation."""


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """What the search ended with: the model, the layers that are float now, and whether that is enough."""

    recovered: Recovered
    returned: tuple[str, ...]
    accepted: bool


def fall_back(
    original: ir.Model,
    found: Recovered,
    accept: Accept,
    recipe: Quantization,
    batches: Batches,
    progress: Progress,
) -> Fallback:
    """Return as few layers to float as the budget needs.

    Layers, each with those that feed it, are ranked by decibels regained for a millisecond lost. One, two,
    four, ... of them return until ``accept`` holds; then the smallest number between the last two is searched
    by halving, as far as the evaluations last. What recovers accuracy runs anew for each choice: the errors to
    recover from are others.

    Args:
        original: the float model.
        found: the INT8 model that may not be accurate enough; without any layer that suffices, it stays.
        accept: the budget.
        recipe: how often ``accept`` may be asked, and what recovers accuracy.
        batches: calibration data.
        progress: told of every layer and every choice.
    """
    unchanged = Fallback(recovered=found, returned=(), accepted=bool(accept(found.model)))
    if unchanged.accepted or recipe.fallback_evaluations < 2:
        return unchanged
    ranking = [ranked.group for ranked in rank_layers(original, found.lowering, batches, progress)]

    def attempt(count: int) -> Fallback:
        returned = tuple(dict.fromkeys(name for group in ranking[:count] for name in group))
        tried = recover(original, floating(found.start, returned), recipe, batches, Progress())
        return Fallback(recovered=tried, returned=returned, accepted=bool(accept(tried.model)))

    tracked = progress.track(range(recipe.fallback_evaluations - 1), "returning layers to float", "trial")
    tries = search(len(ranking), recipe.fallback_evaluations, attempt, tracked)
    return min((tried for tried in tries if tried.accepted), key=lambda tried: len(tried.returned), default=unchanged)


class Attempt(Protocol):
    """What a number of layers came to."""

    @property
    def accepted(self) -> bool:
        """Whether they suffice."""
        ...


AttemptT = TypeVar("AttemptT", bound=Attempt)


def search(most: int, evaluations: int, attempt: Callable[[int], AttemptT], trials: Iterable[object]) -> list[AttemptT]:
    """Attempts at the fewest layers that suffice: more and more of them until some do, then halving in between.

    Args:
        most: how many layers there are.
        evaluations: that may be used, the first of them before this search.
        attempt: makes the first layers of a ranking more exact, and evaluates what comes of it.
        trials: one for each attempt that may be made.
    """
    too_few, enough, made = 0, None, []
    for _ in trials:
        count = next_count(too_few, enough, most, evaluations)
        if count is None:
            break
        made.append(attempt(count))
        if made[-1].accepted:
            enough = count
        else:
            too_few = count
    return made


def next_count(too_few: int, enough: int | None, most: int, evaluations: int) -> int | None:
    """Number of layers to try next; None where nothing is left to try.

    The steps grow by a factor with which all layers are reached before the evaluations are used up, and by 2
    at least.

    >>> [next_count(done, None, 10, 6) for done in (0, 4, 8, 10)]
    [1, 8, 10, None]
    >>> [next_count(done, None, 54, 6) for done in (0, 1, 3, 9, 27)]
    [1, 3, 9, 27, 54]
    >>> next_count(4, 8, 10, 6), next_count(5, 6, 10, 6)
    (6, None)
    """
    if enough is None:
        growth = max(2, math.ceil(most ** (1 / max(1, evaluations - 2))))
        return min(max(1, growth * too_few), most) if too_few < most else None
    return (too_few + enough) // 2 if enough - too_few > 1 else None
