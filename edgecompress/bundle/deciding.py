"""What decides when a bundle is validated again: its own metric and budgets, or those that are asked for now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy, open_metric, settle
from edgecompress.metrics.metric import DEFAULT, Measure, named_measure
from edgecompress.metrics.postprocess import Postprocess
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Evaluation, Recipe, parse_recipe
from edgecompress.registry import METRICS, built_in, is_known
from edgecompress.validation.budgets import OF_THE_METRIC

DROPS = ("max_accuracy_drop", "max_metric_drop")


@dataclass(frozen=True, kw_only=True)
class Judging:
    """The metric, and the recipe with the budgets that hold."""

    measure: Measure
    recipe: Recipe


def judging(
    recipe: Recipe,
    by: MeasuredBy,
    limits: Mapping[str, float | None],
    warn: Callable[[str], None],
    *,
    runs: bool,
) -> Judging:
    """What decides of a bundle.

    A bundle may name code that lies on this machine, and who wrote it may be a stranger: it is run only where the
    caller names it, too. Where nothing is measured, the record is read without the metric.

    Args:
        recipe: of the bundle.
        by: what the caller names in place of that. Budgets of the recipe do not bound another metric, which does not
            see what the recipe's postprocessing makes either.
        limits: budgets that replace those of the recipe; None drops one.
        warn: as :func:`~edgecompress.loading.metrics.open_metric` has it.
        runs: whether the metric is measured now.

    Raises:
        RecipeError: the metric or the postprocessing is code that the caller does not name, there is no such thing, or
            it cannot be made; or a limit is none, or is in points where the metric is not.
    """
    budgets = recipe.budgets.model_dump(exclude_none=True)
    asked = _asked(recipe, by)
    if asked.evaluation.metric != recipe.evaluation.metric:
        said = asked.evaluation
        budgets = {name: limit for name, limit in budgets.items() if name not in OF_THE_METRIC}
        if limits.keys().isdisjoint(OF_THE_METRIC):
            warn(
                f"no budget bounds {said.metric!r}: those of the bundle are for {recipe.evaluation.metric!r}; give"
                " --max-metric-drop, --min-metric-kept or, for top1, --max-accuracy-drop"
            )
    held = {name: limit for name, limit in {**budgets, **_all_dropped(limits, asked)}.items() if limit is not None}
    asked = asked.model_copy(update={"budgets": parse_recipe({"budgets": held}).budgets})
    measure, settled = _opened(asked, by, warn, runs=runs)
    return Judging(measure=measure, recipe=_with_points(settled, limits, measure))


def measured_by(recipe: Recipe, by: MeasuredBy, warn: Callable[[str], None], *, runs: bool) -> Judging:
    """The metric of a bundle, or the one that the caller names, without the budgets of its recipe.

    The arguments and errors are those of :func:`judging`.
    """
    asked = _asked(recipe, by).model_copy(update={"budgets": Budgets()})
    measure, settled = _opened(asked, by, warn, runs=runs)
    return Judging(measure=measure, recipe=settled)


def _asked(recipe: Recipe, by: MeasuredBy) -> Recipe:
    """A recipe that is measured by what the caller names; another metric is told nothing of the bundle's."""
    asked = by.named_in(recipe)
    if asked.evaluation.metric == recipe.evaluation.metric:
        return asked
    postprocess = None if by.postprocess is None else asked.evaluation.postprocess
    said = asked.evaluation
    own = Evaluation(metric=said.metric, postprocess=postprocess, class_axis=said.class_axis)
    return asked.model_copy(update={"evaluation": own})


def _opened(asked: Recipe, by: MeasuredBy, warn: Callable[[str], None], *, runs: bool) -> tuple[Measure, Recipe]:
    given = by.metric is not None or by.postprocess is not None
    if runs:
        _require_ours(asked.evaluation, by)
    if runs or (given and not _names_code(asked.evaluation, by)):
        return open_metric(asked, by, warn)
    return settle(_recorded(asked), asked, warn)


def _all_dropped(limits: Mapping[str, float | None], recipe: Recipe) -> Mapping[str, float | None]:
    """The limits, where points of accuracy and a drop of another metric are one budget: both go with either."""
    if recipe.evaluation.metric == DEFAULT or None not in (limits.get(name, 0) for name in DROPS):
        return limits
    return {**dict.fromkeys(DROPS), **{name: limit for name, limit in limits.items() if limit is not None}}


def _with_points(recipe: Recipe, limits: Mapping[str, float | None], measure: Measure) -> Recipe:
    """A recipe whose points of accuracy, where the caller gives some, bound the metric that is measured."""
    points = limits.get("max_accuracy_drop")
    if points is None or measure.name == DEFAULT:
        return recipe
    if not measure.in_percent:
        raise RecipeError(
            f"a drop of accuracy does not bound {measure.name!r}, which is not in percent; give --max-metric-drop"
        )
    drop = limits.get("max_metric_drop")
    budgets = {"max_accuracy_drop": None, "max_metric_drop": points if drop is None else drop}
    return recipe.model_copy(update={"budgets": recipe.budgets.model_copy(update=budgets)})


def _names_code(asked: Evaluation, by: MeasuredBy) -> bool:
    """Whether a bundle names code that the caller does not name."""
    metric = by.metric is None and ":" in asked.metric
    return metric or (by.postprocess is None and asked.postprocess is not None)


def _require_ours(asked: Evaluation, by: MeasuredBy) -> None:
    """Require that what a bundle is measured by is not its maker's code, and is there.

    Raises:
        RecipeError: it is, or is not; the caller may name something else.
    """
    metric, postprocess = asked.metric, asked.postprocess
    if by.metric is None and ":" in metric:
        raise RecipeError(
            f"the bundle is measured by {metric!r}, code that its maker named; give --metric with what is to be run"
        )
    if by.metric is None and not is_known(METRICS, metric):
        raise RecipeError(
            f"the bundle is measured by {metric!r}, and no package registers that; install the one that does, or give"
            " --metric"
        )
    if by.postprocess is None and postprocess is not None:
        raise RecipeError(
            f"the outputs of the bundle go through {postprocess!r}, code that its maker named; give --postprocess"
            " with what is to be run"
        )


def _recorded(recipe: Recipe) -> Measure:
    """A metric that is never made: only its record is read."""
    name, postprocess = recipe.evaluation.metric, recipe.evaluation.postprocess
    said = named_measure(name) if name in built_in(METRICS) else replace(named_measure(DEFAULT), name=name, unit="")
    return replace(
        said, postprocess=None if postprocess is None else Postprocess(name=postprocess, function=_unchanged)
    )


def _unchanged(outputs: Any) -> Any:
    return outputs
