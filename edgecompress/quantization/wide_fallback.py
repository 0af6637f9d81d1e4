"""The first rung of an NPU's fallback: the most sensitive layers go from uint8 to uint16 until the accuracy is met."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from glob import escape

import onnx_ir as ir

from edgecompress.data.batches import Batches
from edgecompress.errors import plural
from edgecompress.progress import Progress
from edgecompress.quantization.enclosure import Enclosable
from edgecompress.quantization.fallback import Accept
from edgecompress.quantization.fewest_layers import End, Judgement, fewest_layers
from edgecompress.quantization.sensitivity import probe_of
from edgecompress.quantization.wide_activations import Unit, units, wide_nodes
from edgecompress.recipe.tables import Quantization
from edgecompress.step import StepResult

PROBE_ROWS = 8
"""Samples that every layer is judged on."""
ALL = "*"


@dataclass(frozen=True, kw_only=True)
class Widened:
    """A network with some units in uint16, and how it stands."""

    result: StepResult[ir.Model]
    units: tuple[Unit, ...]
    standing: Judgement


def widen_for_budget(
    network: Enclosable, accept: Accept, recipe: Quantization, batches: Batches, progress: Progress
) -> StepResult[ir.Model]:
    """Enclose a network, with as few units in uint16 as the accuracy budget needs.

    Units are ranked by what the network loses where only they are uint8. All of them are tried first, since the weights
    may lose more than the budget bears; then :func:`~edgecompress.quantization.fewest_layers.fewest_layers` finds how
    many are needed. Where all do not meet the budget, they stay: they cost little on an NPU.

    Args:
        network: to enclose.
        accept: the budget: one evaluation.
        recipe: how often ``accept`` may be asked, and the nodes that are uint16 in any case.
        batches: calibration data; the first samples are read.
        progress: told of every unit and every trial.
    """
    narrow, evaluations = network.enclose(recipe.uint16_activations), recipe.fallback_evaluations
    first = accept(narrow.model)
    if first:
        return _told(narrow, "no layer had to become uint16 for the accuracy budget")
    told = f"the accuracy budget was not met in up to {plural(evaluations, 'evaluation')}"
    if evaluations < 2:
        return _told(narrow, f"{told}; no layer became uint16")
    ranking = rank_units(network, recipe.uint16_activations, batches, progress)
    probe = probe_of(network.enclose((ALL,)).model, batches, PROBE_ROWS)

    def enclosed(count: int) -> StepResult[ir.Model]:
        return network.enclose((*recipe.uint16_activations, *_patterns(ranking[:count])))

    @functools.cache
    def noise_of(count: int) -> float:
        return 0.0 if count == len(ranking) else probe.agreement(enclosed(count).model).noise_share

    def attempt(count: int) -> Widened:
        result = enclosed(count)
        return Widened(result=result, units=tuple(ranking[:count]), standing=accept(result.model))

    every = attempt(len(ranking))
    if not every.standing:
        return _told(every.result, f"{told}; {_listed(every.units, ranking)} uint16")
    tries = fewest_layers(
        End(count=0, loss=first.loss),
        End(count=len(ranking), loss=every.standing.loss),
        first.limit,
        noise_of,
        attempt,
        progress.track(range(evaluations - 2, 0, -1), "making layers uint16", "trial"),
        known=True,
    )
    best = min((tried for tried in (every, *tries) if tried.standing), key=_count)
    return _told(best.result, f"{_listed(best.units, ranking)} uint16 for the accuracy budget")


def most_sensitive(network: Enclosable, recipe: Quantization, batches: Batches, progress: Progress) -> tuple[str, ...]:
    """Patterns of the nodes that are uint16 in any case: those that the recipe names, and its ``exact_layers``.

    Args:
        network: to enclose.
        recipe: which nodes, and how many layers more.
        batches: calibration data; the first samples are read.
        progress: told of every layer.
    """
    if not recipe.exact_layers:
        return recipe.uint16_activations
    ranking = rank_units(network, recipe.uint16_activations, batches, progress)
    return (*recipe.uint16_activations, *_patterns(ranking[: recipe.exact_layers]))


def rank_units(network: Enclosable, wide: Sequence[str], batches: Batches, progress: Progress) -> list[Unit]:
    """The units that are uint8, the one that costs most first: by the agreement where all others are uint16.

    Args:
        network: to enclose.
        wide: names of nodes that are uint16 in any case.
        batches: calibration data; the first samples are read.
        progress: told of every unit.
    """
    whole = network.enclose((ALL,)).model
    probe, every = probe_of(whole, batches, PROBE_ROWS), units(whole.graph)
    fixed = {str(node.name) for node in wide_nodes(whole.graph, wide)}
    agreements = {}
    for unit in progress.track([each for each in every if not fixed.issuperset(each)], "measuring uint8", "layer"):
        others = network.enclose(_patterns(each for each in every if each != unit)).model
        agreements[unit] = probe.agreement(others).sqnr_db
    return sorted(agreements, key=lambda unit: agreements[unit])


def _patterns(chosen: Iterable[Unit]) -> tuple[str, ...]:
    return tuple(escape(name) for unit in chosen for name in unit)


def _count(tried: Widened) -> int:
    return len(tried.units)


def _listed(chosen: Sequence[Unit], ranking: Sequence[Unit]) -> str:
    """The layers by the names of those that compute; all of them in a word."""
    if len(chosen) == len(ranking):
        return "all layers are"
    return f"{', '.join(unit[0] for unit in chosen)} {'is' if len(chosen) == 1 else 'are'}"


def _told(result: StepResult[ir.Model], told: str) -> StepResult[ir.Model]:
    return replace(result, changes=(*result.changes, f"fallback: {told}"))
