"""Budgeted fallback: layers return to float, the most rewarding first, until the model is accurate enough."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import onnx_ir as ir

from edgecompress.data.batches import Batches
from edgecompress.progress import Progress
from edgecompress.quantization.bias_correction import correct_biases
from edgecompress.quantization.fewest_layers import End, Judgement, fewest_layers
from edgecompress.quantization.lowering import floating
from edgecompress.quantization.recovery import Recovered, recover
from edgecompress.quantization.sensitivity import probe_of, rank_layers
from edgecompress.recipe.tables import Quantization

Accept = Callable[[ir.Model], Judgement]
"""Whether an INT8 model is within its accuracy budget, and how far from it if not: one evaluation."""


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """What the search ended with: the model, the layers that are float now, and whether that is enough."""

    recovered: Recovered
    returned: tuple[str, ...]
    standing: Judgement

    @property
    def accepted(self) -> bool:
        """Whether the model is within the budget."""
        return bool(self.standing)

    @property
    def beyond_reach(self) -> bool:
        """Whether not even the float model is within the budget."""
        return not self.standing and self.standing.floor > self.standing.limit


def return_layers(
    original: ir.Model, found: Recovered, recipe: Quantization, batches: Batches, progress: Progress
) -> Recovered:
    """Return the layers to float that win most decibels for a millisecond, as many as ``exact_layers`` says.

    Args:
        original: the float model.
        found: the INT8 model.
        recipe: how many, and what recovers accuracy, which runs anew.
        batches: calibration data.
        progress: told of every layer.
    """
    ranking = [ranked.group for ranked in rank_layers(original, found.lowering, batches, progress)]
    returned = _first_of(ranking, recipe.exact_layers)
    tried = recover(original, floating(found.start, returned), recipe, batches, progress)
    told = f"{', '.join(returned) or 'no layer'} returned to float (quantization.exact_layers)"
    return replace(tried, changes=(*tried.changes, told))


def _first_of(ranking: Sequence[tuple[str, ...]], count: int) -> tuple[str, ...]:
    """The layers of the first groups, each by its name once."""
    return tuple(dict.fromkeys(name for group in ranking[:count] for name in group))


def fall_back(
    original: ir.Model,
    found: Recovered,
    accept: Accept,
    recipe: Quantization,
    batches: Batches,
    progress: Progress,
) -> Fallback:
    """Return as few layers to float as the budget needs.

    Layers, each with those that feed it, are ranked by decibels regained for a millisecond lost, and
    :func:`~edgecompress.quantization.fewest_layers.fewest_layers` finds how many of them return. What recovers accuracy
    runs anew for each choice: the errors to recover from are others. Where the float model itself is not within the
    budget, as a pruned one may not be, no layer returns.

    Args:
        original: the float model.
        found: the INT8 model that may not be accurate enough; without any layer that suffices, it stays.
        accept: the budget.
        recipe: how often ``accept`` may be asked, and what recovers accuracy.
        batches: calibration data.
        progress: told of every layer and every choice.
    """
    first, trials = accept(found.model), recipe.fallback_evaluations - 1
    unchanged = Fallback(recovered=found, returned=(), standing=first)
    if first or trials < 1 or unchanged.beyond_reach:
        return unchanged
    ranking = [ranked.group for ranked in rank_layers(original, found.lowering, batches, progress)]
    probe = probe_of(original, batches)

    few = replace(batches, source=lambda: islice(batches.source(), 1))

    @functools.cache
    def noise_of(count: int) -> float:
        lowering = floating(found.lowering, _first_of(ranking, count))
        if recipe.bias_correction:  # the biases take back the shifts of layers that are float now
            lowering = correct_biases(lowering, few, Progress())
        return 0.0 if count == len(ranking) else probe.agreement(lowering.write()).noise_share

    def attempt(count: int) -> Fallback:
        returned = _first_of(ranking, count)
        tried = recover(original, floating(found.start, returned), recipe, batches, Progress())
        return Fallback(recovered=tried, returned=returned, standing=accept(tried.model))

    tries = fewest_layers(
        End(count=0, loss=first.loss),
        End(count=len(ranking), loss=first.floor),
        first.limit,
        noise_of,
        attempt,
        progress.track(range(trials, 0, -1), "returning layers to float", "trial"),
    )
    return min((tried for tried in tries if tried.accepted), key=lambda tried: len(tried.returned), default=unchanged)
