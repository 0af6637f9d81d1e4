"""Static INT8: calibrate, lower, recover accuracy, and read back what ONNX Runtime made of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace

import onnx_ir as ir

from edgecompress.calibration import Observer, Sharing, Workers, collect
from edgecompress.calibration.freshness import staleness
from edgecompress.data.batches import Batches
from edgecompress.errors import ModelError, plural
from edgecompress.progress import Progress
from edgecompress.quantization.aware.agreement import agreed_lowering
from edgecompress.quantization.aware.recovered import Train, assist, is_to_train, trained
from edgecompress.quantization.control_flow import rewrite_bodies, with_bodies
from edgecompress.quantization.fallback import Accept, fall_back, return_layers
from edgecompress.quantization.fusion import Fusion, read_fusion
from edgecompress.quantization.kept_float import BY_BUDGET, BY_RECIPE, BY_SPEED, BY_TIME, kept_float, unmatched
from edgecompress.quantization.kernel_forms import for_kernels
from edgecompress.quantization.lowering import Lowering, floating, lower, schemes
from edgecompress.quantization.placement import Placement, place
from edgecompress.quantization.readback import require_decided
from edgecompress.quantization.recovery import Recovered, recover
from edgecompress.quantization.recurrent import Recurrent
from edgecompress.quantization.timed_placement import TimedChoice
from edgecompress.quantization.weight_bits import narrowed, not_narrowed
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from edgecompress.step import Refusal, StepResult
from edgecompress.system.isolation import require_bytes_survive

Choose = Callable[[Lowering, Batches], TimedChoice]
"""What stays float, of a lowering with all integer that the table allows, and of the inputs that it will have."""


def quantize_static(
    model: ir.Model,
    recipe: Quantization,
    batches: Batches,
    progress: Progress,
    sharing: Sharing | None = None,
    accept: Accept | None = None,
    observer: Observer | None = None,
    choose: Choose | None = None,
    train: Train | None = None,
) -> StepResult[ir.Model]:
    """An INT8 copy of a float ONNX model.

    Args:
        model: float, not modified; its nodes and values have names.
        recipe: scheme, granularity, what recovers accuracy, and what stays float.
        batches: calibration data, read several times.
        progress: told of every batch.
        sharing: the workers and the file of the calibration; by default only this process, and no file.
        accept: whether an INT8 model is accurate enough; where one is not, layers return to float.
        observer: a function that stands in for the observer that the recipe names.
        choose: what stays float for the sake of time, of a lowering with all integer that the table allows; by default
            nothing does.
        train: trains a lowering with its integers in place, where the recipe asks for that.

    Raises:
        DataError: the calibration data does not fit the model, or the statistics are of other data.
        RecipeError: the observer fails, or gives no range of what was seen.
        EdgecompressError: a scale cannot be right, or the file holds another one than was decided.
    """
    once = None if accept is None else functools.lru_cache(maxsize=2)(accept)  # what is accepted is asked for again

    def alone(
        graph: ir.Model,
        given: Batches,
        sharing: Sharing | None = None,
        accept: Accept | None = None,
        learns: Train | None = None,
    ) -> StepResult[ir.Model]:
        return _quantized(graph, recipe, given, progress, sharing, accept, observer, choose, learns)

    def inside(graph: ir.Model, runs: Batches) -> StepResult[ir.Model]:
        return with_bodies(alone(graph, runs), rewrite_bodies(graph, runs, recipe, inside))

    result = alone(model, batches, sharing, once, train)
    if sharing is not None and sharing.workers.rank:
        return result  # only the first worker goes on
    result = with_bodies(result, rewrite_bodies(model, batches, recipe, inside), once)
    return replace(result, warnings=(*_without_match(model, recipe), *result.warnings, *_all_float(result)))


def _quantized(
    model: ir.Model,
    recipe: Quantization,
    batches: Batches,
    progress: Progress,
    sharing: Sharing | None,
    accept: Accept | None,
    observer: Observer | None,
    choose: Choose | None,
    train: Train | None,
) -> StepResult[ir.Model]:
    placement = place(model.graph, kept_float(model.graph, recipe))
    calibration = collect(model, placement.pairs, batches, progress, sharing)
    metrics: dict[str, int | float | str] = {
        "calibration_samples": calibration.samples,
        "calibration_digest": calibration.digest,
    }
    workers = Workers() if sharing is None else sharing.workers
    if workers.rank:  # only the first worker goes on; the others train along
        if train is not None:
            assist(workers, train)
        return StepResult(model=model, metrics=metrics)
    by_table = [lower(model, placement, calibration, recipe, scheme, observer) for scheme in schemes(recipe)]
    unused = not_narrowed(model.graph, by_table[0].weights, recipe.weight_bits)
    warnings = (*staleness(calibration, batches), *unused)
    choice = TimedChoice() if choose is None or not placement.placed else choose(by_table[0], batches)
    rivals = [floating(rival, choice.floats, BY_TIME) if choice.floats else rival for rival in by_table]
    fix = "name its layers in quantization.keep_float"
    require_bytes_survive(to_bytes(rivals[0].write()), "the quantized model", ModelError, fix)

    def recovered(lowerings: Sequence[Lowering]) -> Recovered:
        return max((recover(model, each, recipe, batches, progress) for each in lowerings), key=_agreement)

    best = recovered(rivals)
    if choice.floats and accept is not None and not accept(best.model):
        best = _more_accurate(best, recovered(by_table), accept)
    if train is not None:
        best = _trained(model, best, recipe, train, batches, accept, workers)
    final = _budgeted(model, best, recipe, batches, progress, accept)
    require_decided(final.model, final.lowering)
    placement, recurrent = final.lowering.placement, final.lowering.recurrent
    shipped = for_kernels(final.model, small=final.lowering.stores_all, pools=choice.pools)
    fusion = read_fusion(model, shipped, placement, recurrent.dynamic)
    metrics["activation_codes"] = best.lowering.scheme.quant_max + 1
    return StepResult(
        model=shipped,
        changes=(
            *choice.changes,
            *_choice(best, rivals),
            *narrowed(final.lowering.weights),
            *final.changes,
            *_changes(fusion),
        ),
        refusals=(*_refusals(placement, recurrent), *fusion.unfused),
        warnings=(*warnings, *final.warnings, *_strays(fusion)),
        metrics=metrics,
    )


def _trained(
    model: ir.Model,
    before: Recovered,
    recipe: Quantization,
    train: Train,
    batches: Batches,
    accept: Accept | None,
    workers: Workers,
) -> Recovered:
    """The model after training, where the recipe asks for that; the other workers are told what is trained."""
    wanted = agreed_lowering(workers, lambda: before.lowering if is_to_train(recipe, before, accept) else None)
    return before if wanted is None else trained(model, before, recipe, train, batches, accept)


def _agreement(recovered: Recovered) -> float:
    return recovered.agreement.sqnr_db


def _more_accurate(timed: Recovered, by_table: Recovered, accept: Accept) -> Recovered:
    """The table's placement, where that is within the accuracy budget and the one chosen by time is not."""
    if not accept(by_table.model):
        return timed
    told = "placement: that of the table after all, since the one by time is not within the accuracy budget"
    return replace(by_table, changes=(told, *by_table.changes))


def _budgeted(
    model: ir.Model,
    best: Recovered,
    recipe: Quantization,
    batches: Batches,
    progress: Progress,
    accept: Accept | None,
) -> Recovered:
    """The model after the fallback, where there is a budget to fall back for, and evaluations to find out with."""
    if recipe.exact_layers and not recipe.enclose:
        best = return_layers(model, best, recipe, batches, progress)
    if accept is None or not recipe.fallback_evaluations:
        return best
    fallback = fall_back(model, best, accept, recipe, batches, progress)
    if fallback.beyond_reach:
        told = "the float network misses the accuracy budget, too; no layer returned"
    elif not fallback.accepted:
        tried = plural(recipe.fallback_evaluations, "evaluation")
        told = f"the accuracy budget was not met in up to {tried}; no layer returned"
    elif fallback.returned:
        told = f"{', '.join(fallback.returned)} returned to float for the accuracy budget"
    else:
        told = "no layer had to return to float for the accuracy budget"
    recovered = fallback.recovered
    return replace(recovered, changes=(*recovered.changes, f"fallback: {told}"))


def _choice(best: Recovered, rivals: list[Lowering]) -> tuple[str, ...]:
    if len(rivals) == 1:
        return ()
    return (f"{best.lowering.scheme.narrowed} in fewer bits, which loses less on the calibration data",)


def _changes(fusion: Fusion) -> tuple[str, ...]:
    totals = {op: count + fusion.floating.get(op, 0) for op, count in fusion.integer.items()}
    return tuple(f"{fusion.integer[op]} of {total} {op} run as integers" for op, total in sorted(totals.items()))


def _without_match(model: ir.Model, recipe: Quantization) -> tuple[str, ...]:
    return tuple(
        f"quantization.{key}: no node has a name like {pattern!r}; inspect lists the names"
        for key, patterns in (("keep_float", recipe.keep_float), ("weight_bits", tuple(recipe.weight_bits)))
        for pattern in unmatched(model.graph, patterns)
    )


def _refusals(placement: Placement, recurrent: Recurrent) -> Iterator[Refusal]:
    """What stays float; of recurrent layers those tell why who decided on them."""
    own = {refusal.name: refusal for refusal in recurrent.refusals}
    for refusal in placement.refusals:
        if refusal.name not in recurrent.dynamic:
            yield own.get(refusal.name, refusal)


def _strays(fusion: Fusion) -> tuple[str, ...]:
    return tuple(f"{stray.kind} {stray.name!r} {stray.reason}" for stray in (*fusion.unfused, *fusion.taken))


def _all_float(result: StepResult[ir.Model]) -> tuple[str, ...]:
    """Why nothing is integer, bodies of control flow included; nothing where something is."""
    graphs = (result.model.graph, *result.model.graph.subgraphs())
    if any(_holds_integers(graph) for graph in graphs):
        return ()
    return (_why_all_float({refusal.reason for refusal in result.refusals}),)


def _holds_integers(graph: ir.Graph) -> bool:
    weights = any(value.dtype is ir.DataType.INT8 for value in graph.initializers.values())
    return weights or any(node.op_type == "QuantizeLinear" for node in graph)


def _why_all_float(reasons: Container[str]) -> str:
    """Reason why nothing is integer, and what would change that."""
    if BY_BUDGET in reasons:
        return (
            "every layer returned to float for the accuracy budget, and the artifact stays float;"
            " budgets.max_accuracy_drop=... (of another metric max_metric_drop) allows for more, and"
            " inspect --sensitivity shows which layers suffer"
        )
    if BY_RECIPE in reasons:
        return "the recipe keeps float all that could be integer (quantization.keep_float); the artifact stays float"
    told = "no operator of this model has an integer kernel that pays; the artifact stays float"
    return told + "; quantization.integer_entry=true makes its first convolutions INT8" * (BY_SPEED in reasons)
