"""The first rung of an NPU's fallback: the most sensitive layers go from uint8 to uint16 until the accuracy is met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from glob import escape

import onnx_ir as ir

from edgecompress.data.batches import Batches
from edgecompress.errors import plural
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.enclosure import Enclosable
from edgecompress.quantization.fallback import Accept, search
from edgecompress.quantization.wide_activations import Unit, units, wide_nodes
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import ALL_CORES, execute, network_rows, open_session, run_session
from edgecompress.step import StepResult

PROBE_ROWS = 8
"""Samples that every layer is judged on."""
ALL = "*"


@dataclass(frozen=True, kw_only=True)
class Widened:
    """A network with some units in uint16, and whether it is accurate enough."""

    result: StepResult[ir.Model]
    units: tuple[Unit, ...]
    accepted: bool


def widen_for_budget(
    network: Enclosable, accept: Accept, recipe: Quantization, batches: Batches, progress: Progress
) -> StepResult[ir.Model]:
    """Enclose a network, with as few units in uint16 as the accuracy budget needs.

    Units are ranked by what the network loses where only they are uint8. Where none of the evaluations that the recipe
    allows meets the budget, the largest number of units that was tried stays: they cost little on an NPU.

    Args:
        network: to enclose.
        accept: the budget: one evaluation.
        recipe: how often ``accept`` may be asked, and the nodes that are uint16 in any case.
        batches: calibration data; the first samples are read.
        progress: told of every unit and every trial.
    """
    narrow = network.enclose(recipe.uint16_activations)
    if accept(narrow.model):
        return _told(narrow, "no layer had to become uint16 for the accuracy budget")
    ranking = rank_units(network, recipe.uint16_activations, batches, progress)
    evaluations = recipe.fallback_evaluations

    def attempt(count: int) -> Widened:
        names = _patterns(ranking[:count])
        result = network.enclose((*recipe.uint16_activations, *names))
        return Widened(result=result, units=tuple(ranking[:count]), accepted=bool(accept(result.model)))

    tracked = progress.track(range(evaluations - 1), "making layers uint16", "trial")
    tries = search(len(ranking), evaluations, attempt, tracked)
    enough = [tried for tried in tries if tried.accepted]
    if enough:
        best = min(enough, key=_count)
        return _told(best.result, f"{_listed(best.units, ranking)} uint16 for the accuracy budget")
    told = f"the accuracy budget was not met in up to {plural(evaluations, 'evaluation')}"
    if not tries:
        return _told(narrow, f"{told}; no layer became uint16")
    best = max(tries, key=_count)
    return _told(best.result, f"{told}; {_listed(best.units, ranking)} uint16")


def rank_units(network: Enclosable, wide: Sequence[str], batches: Batches, progress: Progress) -> list[Unit]:
    """The units that are uint8, the one that costs most first: by the agreement where all others are uint16.

    Args:
        network: to enclose.
        wide: names of nodes that are uint16 in any case.
        batches: calibration data; the first samples are read.
        progress: told of every unit.
    """
    whole = network.enclose((ALL,)).model
    rows = network_rows(whole, batches.axes)
    probe = batches.first().sample(rows) if rows else batches.first().slice(0, PROBE_ROWS)
    expected, every = execute(whole, probe.inputs), units(whole.graph)
    fixed = {str(node.name) for node in wide_nodes(whole.graph, wide)}
    agreements = {}
    for unit in progress.track([each for each in every if not fixed.issuperset(each)], "measuring uint8", "layer"):
        others = network.enclose(_patterns(each for each in every if each != unit)).model
        outputs = run_session(open_session(others, ALL_CORES), probe.inputs)
        agreements[unit] = Agreement.between(expected, outputs).sqnr_db
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
