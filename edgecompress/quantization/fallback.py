"""Budgeted fallback: layers return to float, the most rewarding first, until the model is accurate enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.data.batches import Batches
from edgecompress.progress import Progress
from edgecompress.quantization.lowering import floating
from edgecompress.quantization.recovery import Recovered, recover
from edgecompress.quantization.sensitivity import rank_layers
from edgecompress.recipe.tables import Quantization

Accept = Callable[[ir.Model], bool]
"""Whether an INT8 model is within its accuracy budget: one evaluation."""


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
    best = Fallback(recovered=found, returned=(), accepted=accept(found.model))
    if best.accepted or recipe.fallback_evaluations < 2:
        return best
    ranking = [ranked.group for ranked in rank_layers(original, found.lowering, batches, progress)]
    too_few, enough = 0, None
    for _ in progress.track(range(recipe.fallback_evaluations - 1), "returning layers to float", "trial"):
        count = next_count(too_few, enough, len(ranking), recipe.fallback_evaluations)
        if count is None:
            break
        returned = tuple(dict.fromkeys(name for group in ranking[:count] for name in group))
        tried = recover(original, floating(found.start, returned), recipe, batches, Progress())
        if accept(tried.model):
            enough = count
            best = Fallback(recovered=tried, returned=returned, accepted=True)
        else:
            too_few = count
    return best


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
